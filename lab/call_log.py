"""Every API call as one JSON line: who asked for what, on which resource, with which result. No values, no secrets."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

RESOURCE_ID = re.compile(r"^[a-z]+(-[a-z]+)*-[0-9a-f]{8,17}$")
NAMING_KEYS = frozenset({"Name", "Names", "KeyId", "KeyName", "PublicIp", "RoleName", "RoleArn", "ImageName"})
"""Parameters that name a resource by something else than an id."""
ERROR_CODE = re.compile(rb"<Code>([^<]+)</Code>")


@dataclass(frozen=True)
class Call:
    """An API call. ``time`` in seconds since the epoch, ``error`` is AWS's code or None.

    ``caller`` is the user or role that the access key belongs to, ``program`` what it says of itself (`program_of`).
    """

    time: float
    service: str
    action: str
    resources: Mapping[str, str]
    error: str | None
    duration_ms: float
    caller: str = ""
    program: str = ""


class CallLog:
    """Appends calls to a file.

    :param name_of: returns who has an access key.
    """

    def __init__(self, path: Path, name_of: Callable[[str], str] = str) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._name_of = name_of

    def write(self, environ: Mapping[str, Any], body: bytes, status: str, answer: bytes, started: float) -> None:
        """Write one line. ``started`` is a `time.monotonic` value."""
        call = Call(
            time=round(time.time(), 3),
            service=service_of(environ),
            action=action_of(environ, body),
            resources=dict(resources_of(environ, body)),
            error=None if status.startswith(("2", "3")) else error_of(status, answer),
            duration_ms=round((time.monotonic() - started) * 1000, 1),
            caller=self._name_of(access_key_of(environ)),
            program=program_of(str(environ.get("HTTP_USER_AGENT", ""))),
        )
        self._file.write(json.dumps(asdict(call)) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def service_of(environ: Mapping[str, Any]) -> str:
    """Return the service that a request was signed for: ``ec2``, ``ssm``, ...; or ``-``."""
    scope = re.search(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/", str(environ.get("HTTP_AUTHORIZATION", "")))
    return scope.group(1) if scope else "-"


def access_key_of(environ: Mapping[str, Any]) -> str:
    """Return the access key id that a request was signed with; empty where it was not signed."""
    found = re.search(r"Credential=([^/]+)/", str(environ.get("HTTP_AUTHORIZATION", "")))
    return found.group(1) if found else ""


def program_of(user_agent: str) -> str:
    """Return what has called: a task as it is typed, ``packer``, or the first word that the program says of itself.

    Packer 1.6 names no more than the SDK of its language; nothing else in the lab is written in that.
    """
    if found := re.search(r"livepeer-transcoder-ops task/(fab|invoke)\.(\S+)", user_agent):
        return f"{found[1]} {found[2]}"
    if "packer" in user_agent.lower() or user_agent.startswith("aws-sdk-go"):
        return "packer"
    return user_agent.partition("/")[0]


def action_of(environ: Mapping[str, Any], body: bytes) -> str:
    """Return the API action of a request: of its target header, its form, or else its method and path."""
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return str(target).rsplit(".", 1)[-1]
    fields = dict(fields_of(environ, body))
    return fields.get("Action") or f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}"


def resources_of(environ: Mapping[str, Any], body: bytes) -> Iterator[tuple[str, str]]:
    """Yield the parameters that name resources: ids, names of keys and the like; never what could be a value."""
    for key, value in fields_of(environ, body):
        if RESOURCE_ID.match(value) or key in NAMING_KEYS:
            yield key, value


def error_of(status: str, answer: bytes) -> str:
    """Return AWS's error code of an answer, or its HTTP status where it has none."""
    if found := ERROR_CODE.search(answer):
        return found.group(1).decode()
    try:
        kind = str(json.loads(answer).get("__type", ""))
    except (ValueError, AttributeError):
        kind = ""
    return kind.rsplit("#", 1)[-1] or status


def fields_of(environ: Mapping[str, Any], body: bytes) -> list[tuple[str, str]]:
    """Return the plain fields of a request: of its form, its JSON, or its query."""
    kind = str(environ.get("CONTENT_TYPE", ""))
    if kind.startswith("application/x-www-form-urlencoded"):
        return parse_qsl(body.decode("utf-8", "replace"))
    if kind.startswith("application/x-amz-json"):
        try:
            document = json.loads(body or b"{}")
        except ValueError:
            return []
        return [(key, value) for key, value in document.items() if isinstance(value, str)]
    return parse_qsl(str(environ.get("QUERY_STRING", "")))
