"""Prints what ``invoke lab.fault`` and ``invoke lab.faults`` have to say."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lab import faults as registry
from lab.faults import client
from lab.faults.client import ActiveFault
from lab.faults.options import LASTS, Option
from transcoder.errors import Refused, Unreachable
from transcoder.settings import Settings

SWITCHES = {"on": True, "off": False}


def switch(settings: Settings, name: str, how: str, given: Mapping[str, Any], *, as_json: bool) -> None:
    """Switch a fault and say what that did.

    :param given: options by name; empty texts and False stand for those that are not given.
    """
    if how not in SWITCHES:
        raise Refused(f"a fault is switched on or off, not {how!r}", hint=f"invoke lab.fault {name} on")
    options = {option: value for option, value in given.items() if value not in ("", False)}
    said = client.set_fault(settings, name, SWITCHES[how], **options)
    if as_json:
        sys.stdout.write(json.dumps({"name": name, "on": SWITCHES[how], "said": said}) + "\n")
        return
    sys.stdout.write(f"{name} is {how}: {said}\n")


def faults(settings: Settings, *, as_json: bool) -> None:
    """Print every fault with its options, and those that are on."""
    on = _active(settings)
    if as_json:
        known = {name: registry.find(name).SUMMARY for name in registry.NAMES}
        active = [asdict(each) for each in on or ()]
        sys.stdout.write(json.dumps({"faults": known, "active": active}, indent=2) + "\n")
        return
    for name in registry.NAMES:
        fault = registry.find(name)
        sys.stdout.write("\n".join([f"{name}: {fault.SUMMARY}", *_options(*fault.OPTIONS), ""]))
    sys.stdout.write("\n".join(["every fault:", *_options(LASTS), "", *_summary(on), ""]))


def _options(*options: Option) -> list[str]:
    return [f"    {option.describe()}" for option in options]


def _active(settings: Settings) -> tuple[ActiveFault, ...] | None:
    try:
        return client.active(settings)
    except Unreachable:
        return None


def _summary(on: tuple[ActiveFault, ...] | None) -> list[str]:
    if on is None:
        return ["the lab is down: invoke lab.up"]
    if not on:
        return ["none of them is on"]
    return ["on:", *(f"    {each.name} {render(each.options)}: {each.said}" for each in on)]


def render(options: Mapping[str, Any]) -> str:
    """Return options as they are typed."""
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in options.items())
