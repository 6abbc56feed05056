"""A mirror stands for hosts that cannot be reached. It gives bytes, never the sums that they are held against."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from packer.downloads import Store, fetch
from tests.unit.packer.samples import settings_in, tar_with
from transcoder.errors import BadSettings, Refused, Unreachable
from transcoder.settings_programs import Download

SOURCE = "https://github.com/livepeer/go-livepeer/releases/download/v0.9.1/livepeer-linux-amd64.tar.gz"
CONTENT = tar_with({"livepeer": b"x"})
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def mirrored_in(directory: Path, content: bytes = CONTENT) -> str:
    path = directory / "mirror" / SOURCE.removeprefix("https://")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return str(directory / "mirror")


def no_network(*_: object, **__: object) -> None:
    raise OSError("no network")


def test_the_place_on_a_mirror_is_host_and_path(tmp_path: Path) -> None:
    store = Store(tmp_path, mirror="https://mirror.example/pub/")

    assert store.place(SOURCE) == SOURCE.replace("https://", "https://mirror.example/pub/")
    assert store.place("here.tar.gz") == tmp_path / "here.tar.gz"
    assert Store(tmp_path).place(SOURCE) == SOURCE


def test_a_directory_can_be_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.OpenerDirector.open", no_network)
    wanted = Download(version="v0.9.1", source=SOURCE, sha256=SHA256)

    found = fetch(wanted, Store(tmp_path, tmp_path / "cache", mirrored_in(tmp_path)))

    assert (found.sha256, found.source) == (SHA256, SOURCE)


def test_a_mirror_with_other_bytes_is_refused(tmp_path: Path) -> None:
    wanted = Download(version="v0.9.1", source=SOURCE, sha256=SHA256)
    mirror = mirrored_in(tmp_path, CONTENT + b"!")

    with pytest.raises(Refused, match="not unpacked"):
        fetch(wanted, Store(tmp_path, tmp_path / "cache", mirror))
    assert Path(mirror).exists()


def test_sums_are_not_taken_from_the_mirror_although_it_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.OpenerDirector.open", no_network)
    mirror = mirrored_in(tmp_path)
    sums = SOURCE.replace("livepeer-linux-amd64.tar.gz", "sums")
    (Path(mirror) / sums.removeprefix("https://")).write_text(f"{SHA256}  livepeer-linux-amd64.tar.gz\n")
    wanted = Download(version="v0.9.1", source=SOURCE, checksums=sums)

    with pytest.raises(Unreachable) as error:
        fetch(wanted, Store(tmp_path, tmp_path / "cache", mirror))
    assert "never come from downloads.mirror" in error.value.hint


def test_the_mirror_of_an_environment_is_read_and_must_be_https_or_a_path(tmp_path: Path) -> None:
    geth = '[downloads]\nmirror = "https://mirror.example/pub"\n'
    assert settings_in(tmp_path, geth=geth).downloads.mirror == "https://mirror.example/pub"

    with pytest.raises(BadSettings) as refusal:
        settings_in(tmp_path, geth=geth.replace("https:", "http:"))
    assert "downloads.mirror" in refusal.value.reasons[0]
    assert "https URL or a path" in refusal.value.reasons[0]
