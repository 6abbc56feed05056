"""A download arrives whole or not at all, and goes on where it broke off."""

from __future__ import annotations

import hashlib
import threading
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest

from packer.downloads import Archive, Store, fetch
from packer.meter import describe
from packer.transfer import _StaysSecure, download, read_small
from tests.unit.packer.server import Site, serving
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.settings_programs import Download

CONTENT = bytes(range(256)) * 40


def test_a_file_arrives_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with serving(Site(CONTENT)) as site:
        resumed = download(f"{site.url}/x", tmp_path / "x.tar.gz", lambda *counts: told.append(counts))

    assert not resumed
    assert (tmp_path / "x.tar.gz").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar.gz"]
    assert told[-1] == ("x.tar.gz", len(CONTENT), len(CONTENT))


def test_what_broke_off_is_no_file_and_the_next_try_asks_for_the_rest_alone(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with serving(Site(CONTENT, break_off_after=1000)) as site:
        with pytest.raises(Unreachable, match=f"broke off after 1000 of {len(CONTENT)} bytes"):
            download(f"{site.url}/x", path)
        assert not path.exists()

        assert download(f"{site.url}/x", path)

    assert path.read_bytes() == CONTENT
    assert site.asked == ["", "bytes=1000-"]


@pytest.mark.parametrize("site", [Site(CONTENT, ranges=False), Site(CONTENT[:700])], ids=["no ranges", "shorter now"])
def test_where_the_rest_cannot_be_had_the_whole_is_taken(site: Site, tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(b"?" * 700)
    with serving(site):
        assert not download(f"{site.url}/x", tmp_path / "x")

    assert (tmp_path / "x").read_bytes() == site.content


def test_a_release_that_moved_is_told_with_its_status(tmp_path: Path) -> None:
    with serving(Site(CONTENT, status=404)) as site, pytest.raises(Failed, match="404"):
        download(f"{site.url}/x", tmp_path / "x")


def test_a_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="refused"):
        download("http://127.0.0.1:1/x", tmp_path / "x")


def test_a_page_in_the_place_of_a_small_document_is_refused() -> None:
    with serving(Site(b"<" * (1 << 21))) as site, pytest.raises(Failed, match="no sum, signature or key"):
        read_small(f"{site.url}/x")


def test_nobody_is_led_from_https_to_http() -> None:
    request = urllib.request.Request("https://example.org/x")
    with pytest.raises(urllib.error.HTTPError, match="not https"):
        _StaysSecure().redirect_request(request, None, 302, "Found", Message(), "http://example.org/x")


def from_site(site: Site, monkeypatch: pytest.MonkeyPatch, sha256: str = "") -> Download:
    """A download whose source is the site, which has no https."""
    monkeypatch.setattr(Store, "place", lambda _store, _source: f"{site.url}/x.tar.gz")
    sha256 = sha256 or hashlib.sha256(site.content).hexdigest()
    return Download(version="1.0.0", source="https://example.org/x.tar.gz", sha256=sha256)


def test_two_bakes_at_once_fetch_an_archive_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Archive] = []
    with serving(Site(CONTENT)) as site:
        wanted = from_site(site, monkeypatch)
        bakes = [
            threading.Thread(target=lambda: found.append(fetch(wanted, Store(tmp_path, tmp_path / "cache"))))
            for _ in range(4)
        ]
        for bake in bakes:
            bake.start()
        for bake in bakes:
            bake.join()

    assert len(site.asked) == 1
    assert {archive.path.read_bytes() for archive in found} == {CONTENT}
    assert len(found) == 4


def test_what_was_gone_on_with_and_is_wrong_is_fetched_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Site(CONTENT)) as site:
        wanted = from_site(site, monkeypatch)
        part = tmp_path / "cache" / wanted.sha256 / "x.tar.gz.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"of another release")
        archive = fetch(wanted, Store(tmp_path, tmp_path / "cache"))

    assert archive.path.read_bytes() == CONTENT
    assert site.asked == ["bytes=18-", ""]


def test_an_archive_with_one_byte_changed_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    changed = CONTENT[:77] + bytes([CONTENT[77] ^ 1]) + CONTENT[78:]
    with serving(Site(changed)) as site, pytest.raises(Refused, match=f"but {sha256} was wanted; not unpacked"):
        fetch(from_site(site, monkeypatch, sha256), Store(tmp_path, tmp_path / "cache"))

    assert [path.name for path in (tmp_path / "cache" / sha256).iterdir()] == ["x.tar.gz.lock"]


def test_the_counts_are_in_mib() -> None:
    assert describe(3 << 20, 12 << 20) == "3.0 of 12.0 MiB, 25 %"
    assert describe(3 << 20, 0) == "3.0 MiB"
