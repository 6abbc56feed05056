"""Switches faults on and off inside the lab's daemon, and knows which are on. Asked over HTTP on the loopback alone."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lab import faults
from lab.cloud import Cloud
from lab.faults.fault import Active
from lab.faults.options import LASTS, Option, Value, check, subject
from lab.faults.site import Operator, Site
from lab.reconcile import Reconciler
from transcoder.errors import Refused, TranscoderError

log = logging.getLogger("lab.faults")

FAULTS_PATH = "/lab/faults"
"""Not AWS's. GET lists the faults that are on; POST switches one: ``{"name", "on", "options", "operator"}``."""
LOOPBACK = "127.0.0.1"
KINDS = {Refused.exit_code: "Refused", 4: "Failed", 5: "Unreachable"}

Identity = tuple[str, tuple[tuple[str, Value], ...]]
"""A fault's name and what it is done to."""


class Switchboard:
    """The faults of one lab."""

    def __init__(self, cloud: Cloud, reconciler: Reconciler) -> None:
        self._cloud = cloud
        self._reconciler = reconciler
        self._active: dict[Identity, Active] = {}
        self._lock = threading.Lock()
        self._switching = threading.RLock()
        """Held while a fault is switched, which may take as long as a machine's boot."""

    def on(self, name: str, given: Mapping[str, Any], operator: Operator) -> str:
        """Switch a fault on; when it is on like this already, nothing is done. Returns what was done, in words.

        :raises TranscoderError: it was not switched on.
        """
        fault = faults.find(name)
        site = Site(self._cloud, self._reconciler, operator)
        name, chosen = name.replace("-", "_"), resolve(site, fault.OPTIONS, check(name, fault.OPTIONS, given))
        identity = (name, subject(fault.OPTIONS, chosen))
        with self._switching:
            before = {(each.name, subject(fault.OPTIONS, each.options)): each for each in self.active()}.get(identity)
            if before is not None and before.options == chosen:
                return f"it was on already: {before.said}"
            if before is not None:
                self._end(identity, before, operator)
            effect = fault.on(site, chosen)
            log.warning("fault %s %s is on: %s", name, dict(chosen), effect.said)
            if not effect.done:
                self._remember(identity, Active(name, chosen, time.time(), effect.said, effect.memory), operator)
        return effect.said

    def off(self, name: str, given: Mapping[str, Any], operator: Operator) -> str:
        """Switch a fault off: the one that is done to what ``given`` names, or all of that name.

        :raises TranscoderError: one of them cannot be taken back now, and stays on.
        """
        fault = faults.find(name)
        name = name.replace("-", "_")
        named = {key.replace("-", "_"): value for key, value in given.items() if value not in (None, "", False)}
        wanted: Mapping[str, Value] = {
            option.name: named[option.name] for option in fault.OPTIONS if option.name in named
        }
        try:
            wanted = resolve(Site(self._cloud, self._reconciler, operator), fault.OPTIONS, wanted)
        except Refused:
            log.info("fault %s: %s is no more in the lab, so it is taken as an id", name, dict(wanted))
        said = []
        with self._switching:
            for active in self.active():
                if active.name == name and all(str(active.options.get(k, v)) == str(v) for k, v in wanted.items()):
                    said.append(self._end((name, subject(fault.OPTIONS, active.options)), active, operator))
        return "; ".join(said) or "it was off already"

    def active(self) -> list[Active]:
        """Return the faults that are on, the oldest first; those that have ended by themselves are forgotten."""
        site = Site(self._cloud, self._reconciler, Operator())
        with self._lock:
            items = list(self._active.items())
        for identity, active in items:
            over: Callable[..., bool] | None = getattr(faults.find(active.name), "over", None)
            if over is not None and over(site, active.options, active.memory):
                log.warning("fault %s %s has ended by itself", active.name, dict(active.options))
                with self._lock:
                    self._active.pop(identity, None)
        with self._lock:
            return list(self._active.values())

    def _remember(self, identity: Identity, active: Active, operator: Operator) -> None:
        with self._lock:
            self._active[identity] = active
        if LASTS.name in active.options:
            seconds = float(active.options[LASTS.name])
            self._cloud.job(f"fault {active.name} ends", self._end_later, seconds, identity, active, operator)

    def _end_later(self, seconds: float, identity: Identity, active: Active, operator: Operator) -> None:
        if not self._cloud.wait(seconds):
            return
        with self._switching:
            if self._active.get(identity) is active:
                self._end(identity, active, operator)

    def _end(self, identity: Identity, active: Active, operator: Operator) -> str:
        site = Site(self._cloud, self._reconciler, operator)
        said = faults.find(active.name).off(site, active.options, active.memory)
        log.warning("fault %s %s is off: %s", active.name, dict(active.options), said)
        with self._lock:
            self._active.pop(identity, None)
        return said

    # over HTTP

    def answer(self, method: str, sender: str, body: bytes) -> tuple[str, bytes]:
        """Answer a request for `FAULTS_PATH`: the HTTP status and JSON.

        :param sender: its address; machines of the lab, who reach this server as well, are turned away.
        """
        if sender != LOOPBACK:
            return "403 Forbidden", render({"error": {"kind": "Refused", "message": "faults are not for machines"}})
        try:
            said = self._switch(body) if method == "POST" else ""
        except TranscoderError as error:
            return "409 Conflict", render({"error": describe_error(error)})
        except Exception as error:  # the top of this request: the client is to read it, not a closed connection
            log.exception("a fault could not be switched")
            return "500 Internal Server Error", render({"error": {"kind": "Failed", "message": repr(error)}})
        return "200 OK", render({"said": said, "active": [describe(each) for each in self.active()]})

    def _switch(self, body: bytes) -> str:
        try:
            document = json.loads(body)
            name, switch = str(document["name"]), bool(document["on"])
            options, operator = dict(document.get("options", {})), Operator(**document.get("operator", {}))
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"not a request to switch a fault: {error!r}") from error
        return (self.on if switch else self.off)(name, options, operator)


def resolve(site: Site, options: Sequence[Option], chosen: Mapping[str, Value]) -> dict[str, Value]:
    """Put ids in the place of names of instances and volumes.

    :raises Refused: there is no such thing in the lab, or several.
    """
    finders: dict[str, Callable[[str], Any]] = {"instance": site.instance, "volume": site.volume}
    kinds = {option.name: finders[option.kind] for option in options if option.kind in finders}
    return {name: str(kinds[name](str(value)).id) if name in kinds else value for name, value in chosen.items()}


def describe(active: Active) -> dict[str, Any]:
    """Return a fault that is on, ready for JSON."""
    return {"name": active.name, "options": dict(active.options), "since": active.since, "said": active.said}


def describe_error(error: TranscoderError) -> dict[str, Any]:
    """Return an error, ready for JSON and for `lab.faults.client` to raise again."""
    reasons = list(getattr(error, "reasons", ()))
    kind = KINDS.get(error.exit_code, "Failed")
    return {"kind": kind, "message": error.message, "reasons": reasons, "hint": error.hint}


def render(document: Any) -> bytes:
    """Return JSON."""
    return json.dumps(document).encode()
