"""Switching the faults of a running lab from another program: what ``invoke lab.fault`` and rehearsals use."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.commands import configuration_of
from lab.faults.options import Value
from lab.faults.switchboard import FAULTS_PATH
from lab.lifecycle import read_ready
from transcoder.errors import Failed, Refused, TranscoderError, Unreachable
from transcoder.settings import Settings

BUDGET_SECONDS = 300.0
"""For switching: a machine that gets its power back boots meanwhile."""


@dataclass(frozen=True)
class ActiveFault:
    """A fault that is on. ``since`` in Unix seconds; ``said`` is what it did, in words."""

    name: str
    options: Mapping[str, Value]
    since: float
    said: str


def set_fault(settings: Settings, name: str, on: bool, **options: Any) -> str:
    """Switch a fault on or off; twice is as good as once. Returns when it is so, with what was done in words.

    :param name: see `lab.faults.NAMES`.
    :param options: as the fault declares them; `off` takes those that name what it is done to, or none for all.
    :raises Refused: no such fault, a wrong option, or it cannot be done to this machine or volume now.
    :raises Failed: it was tried and did not work.
    :raises Unreachable: the lab is down, or a machine does not answer.
    """
    operator = {"journal": settings.operator.journal, "ssh_user": settings.ssh.user}
    document = {"name": name, "on": on, "options": options, "operator": operator}
    return str(_ask(settings, json.dumps(document).encode())["said"])


def active(settings: Settings) -> tuple[ActiveFault, ...]:
    """Return the faults that are on, the oldest first.

    :raises Unreachable: the lab is down.
    """
    return tuple(ActiveFault(**item) for item in _ask(settings)["active"])


def _ask(settings: Settings, body: bytes | None = None) -> Mapping[str, Any]:
    configuration = configuration_of(settings)
    if read_ready(configuration) is None:
        raise Unreachable("the lab is down", hint="invoke lab.up")
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{configuration.endpoint_url}{FAULTS_PATH}", body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=BUDGET_SECONDS) as answer:  # noqa: S310 - the lab's own endpoint
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        raise _error(error.read()) from error
    except OSError as error:
        raise Unreachable(f"the lab does not answer: {error}", hint="invoke lab.status") from error


def _error(answer: bytes) -> TranscoderError:
    try:
        said = json.loads(answer)["error"]
    except (ValueError, KeyError):
        return Failed(f"the lab does not know faults: {answer[:200]!r}", hint="invoke lab.down, then invoke lab.up")
    message, hint = str(said["message"]), str(said.get("hint", ""))
    if said["kind"] == "Refused":
        return Refused(message, reasons=said.get("reasons", ()), hint=hint)
    return (Unreachable if said["kind"] == "Unreachable" else Failed)(message, hint=hint)
