"""Files and templates become the machine's files."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from packer.rootfs import render_rootfs, systemd_quoted, systemd_word
from packer.tarball import File, write_tar
from tests.unit.packer.samples import settings_in
from transcoder.errors import Refused


def trees(tmp_path: Path) -> tuple[Path, Path]:
    files, templates = tmp_path / "files", tmp_path / "templates"
    (files / "etc").mkdir(parents=True)
    (templates / "rootfs" / "etc").mkdir(parents=True)
    return files, templates


def test_files_are_taken_as_they_stand_and_keep_their_x_bit(tmp_path: Path) -> None:
    files, templates = trees(tmp_path)
    (files / "etc/a").write_text("{{ not a template }}")
    (files / "run").write_text("#!/bin/sh")
    (files / "run").chmod(0o700)

    found = render_rootfs(settings_in(tmp_path), files, templates)

    assert found == {"etc/a": File(b"{{ not a template }}", 0o644), "run": File(b"#!/bin/sh", 0o755)}


def test_templates_are_rendered_from_the_settings(tmp_path: Path) -> None:
    files, templates = trees(tmp_path)
    (templates / "rootfs/etc/b").write_text("{{ settings.geth.version }} {{ geth.mount }}\n")

    assert render_rootfs(settings_in(tmp_path), files, templates)["etc/b"].content == b"1.8.27 /d2\n"


def test_a_name_that_the_settings_do_not_have_is_refused_with_the_template(tmp_path: Path) -> None:
    files, templates = trees(tmp_path)
    (templates / "rootfs/etc/b").write_text("{{ settings.geth.colour }}")

    with pytest.raises(Refused, match=r"templates/rootfs/etc/b: .*colour"):
        render_rootfs(settings_in(tmp_path), files, templates)


def test_a_path_that_is_both_a_file_and_a_template_is_refused(tmp_path: Path) -> None:
    files, templates = trees(tmp_path)
    (files / "etc/a").touch()
    (templates / "rootfs/etc/a").touch()

    with pytest.raises(Refused) as refusal:
        render_rootfs(settings_in(tmp_path), files, templates)
    assert refusal.value.reasons == ("etc/a",)


@pytest.mark.parametrize(
    ("text", "quoted"), [("A=b c", '"A=b c"'), ("A=50%", '"A=50%%"'), ('A="\\', '"A=\\"\\\\"'), ("A=$B", '"A=$B"')]
)
def test_a_variable_of_a_unit_is_quoted_for_systemd(text: str, quoted: str) -> None:
    assert systemd_quoted(text) == quoted


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("-ethUrl", "-ethUrl"),
        ("https://rpc.example/a%20b", "https://rpc.example/a%%20b"),
        ("a b", '"a b"'),
        ("$HOME", "$$HOME"),
        ('say "x"', '"say \\"x\\""'),
        ("", '""'),
    ],
)
def test_a_word_of_a_command_is_written_so_that_systemd_reads_it_back(text: str, word: str) -> None:
    assert systemd_word(text) == word


def test_a_word_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="line break"):
        systemd_word("a\nExecStartPre=/bin/evil")


def test_a_variable_of_the_settings_cannot_add_a_line_to_a_unit(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, geth='environment = { A = "x\\nExecStartPre=/bin/evil" }')

    with pytest.raises(Refused, match="line break"):
        render_rootfs(settings)


def test_an_archive_depends_on_its_content_alone(tmp_path: Path) -> None:
    files = {"b": File(b"2"), "a/c": File(b"1", 0o755)}
    write_tar(tmp_path / "1", files)
    write_tar(tmp_path / "2", dict(reversed(files.items())))

    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    with tarfile.open(tmp_path / "1") as tar:
        assert [(m.name, m.mode, m.uid, m.uname, m.mtime) for m in tar] == [
            ("a/c", 0o755, 0, "root", 0),
            ("b", 0o644, 0, "root", 0),
        ]
