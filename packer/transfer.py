"""Brings a file over HTTPS into the cache: whole or not at all, and resumed where it broke off."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transcoder.errors import Failed, Unreachable

TIMEOUT_SECONDS = 60
SMALL_BYTES = 1 << 20
"""Checksums, signatures and keys are far smaller."""
_CHUNK = 1 << 20

Progress = Callable[[str, int, int], None]
"""Is told a name, the bytes that are here, and how many there will be (0: not known)."""


def silent(_name: str, _done: int, _total: int) -> None:
    """Tell nobody."""


def read_small(url: str) -> bytes:
    """Return a small document.

    :raises Unreachable: when the server does not answer.
    :raises Failed: when it answers with an error, or with something that is not small.
    """
    with _answer(url, 0) as response:
        content = bytes(response.read(SMALL_BYTES + 1))
    if len(content) > SMALL_BYTES:
        raise Failed(f"{url}: longer than {SMALL_BYTES} bytes, which is no sum, signature or key")
    return content


def download(url: str, path: Path, progress: Progress = silent) -> bool:
    """Fetch a file; tell whether an earlier try, broken off, was gone on with. `path` appears with its last byte.

    What has come stays beside it as ``.part`` when the connection breaks, and the next try asks for the rest. One
    process at a time may do so: see `locks.one_at_a_time`.

    :raises Unreachable: when the server does not answer, or breaks off.
    :raises Failed: when it answers with an error.
    """
    part = path.with_name(path.name + ".part")
    try:
        resumed = _download(url, part, part.stat().st_size if part.exists() else 0, progress)
    except _NothingMoreError:
        resumed = _download(url, part, 0, progress)
    part.replace(path)
    return resumed


class _NothingMoreError(Exception):
    """The server has no byte after those that are here."""


class _StaysSecure(urllib.request.HTTPRedirectHandler):
    """Follows a redirection, but never from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.HTTPError(newurl, code, f"redirected to {newurl}, which is not https", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _answer(url: str, have: int) -> Iterator[Any]:
    """Ask for a document, from byte ``have`` on. Errors of the whole ``with`` are told as ours."""
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  https only: see settings.Download
    try:
        with urllib.request.build_opener(_StaysSecure).open(request, timeout=TIMEOUT_SECONDS) as response:
            yield response
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            raise _NothingMoreError from error
        hint = "the release may have moved: correct `source`, or name a file you have"
        raise Failed(f"{url}: HTTP status {error.code} {error.reason}", hint=hint) from error
    except (OSError, http.client.HTTPException) as error:
        hint = "the same command goes on where it broke off; or name a file you have as `source`"
        raise Unreachable(f"{url}: {error}", hint=hint) from error


def _download(url: str, part: Path, have: int, progress: Progress) -> bool:
    with _answer(url, have) as response:
        resumed = _goes_on_at(response, have)
        _receive(url, response, part, have if resumed else 0, progress)
    return resumed


def _goes_on_at(response: Any, have: int) -> bool:
    """Tell whether the answer is the rest that was asked for. A server may always send the whole instead."""
    given = str(response.headers.get("Content-Range", ""))
    return have > 0 and response.status == http.client.PARTIAL_CONTENT and given.startswith(f"bytes {have}-")


def _receive(url: str, response: Any, part: Path, start: int, progress: Progress) -> None:
    announced = response.headers.get("Content-Length")
    total, done = start + int(announced) if announced else 0, start
    with part.open("ab" if start else "wb") as file:
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            progress(part.name.removesuffix(".part"), done, total)
        file.flush()
        os.fsync(file.fileno())
    # http.client gives fewer bytes than announced without a word.
    if total and done != total:
        raise Unreachable(f"{url}: broke off after {done} of {total} bytes", hint="the same command goes on there")
