"""How many sessions livepeer serves: those that a restart would cut."""

from __future__ import annotations

import re
from collections.abc import Sequence

from transcoder.catalog.livepeer_api import Api
from transcoder.facts import livepeer_api

CURRENT = "livepeer_current_sessions_total"
"""Its own count, with ``-monitor`` (go-livepeer monitor/census.go)."""
SAMPLE = re.compile(rf"^{CURRENT}(?:\{{[^}}]*\}})? ([0-9.eE+-]+)$", re.MULTILINE)


def commands(api: Api) -> tuple[tuple[str, ...], ...]:
    """Return the commands that ask for it: the streams of ``/status``, and its own metrics where it has any."""
    routes = (api.status, api.metrics) if api.metrics else (api.status,)
    return tuple(livepeer_api.command(route, api.base) for route in routes)


def parse_sessions(answers: Sequence[str]) -> int | None:
    """Return the number of sessions from what `commands` have printed, in their order; None when livepeer tells none.

    :param answers: an empty text where a command has failed; without ``-monitor`` there are no metrics.
    :raises Failed: for a status of another form.
    """
    counted = [float(number) for answer in answers[1:] for number in SAMPLE.findall(answer)]
    if counted:
        return round(sum(counted))
    return len(livepeer_api.parse_status(answers[0]).manifests) if answers[0].strip() else None
