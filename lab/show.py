"""Prints what ``invoke lab.*`` has to say. The work is done in `lab.commands`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from lab import commands
from lab.commands import Status
from transcoder.settings import Settings


def progress(line: str) -> None:
    """Print one line of progress on stderr."""
    sys.stderr.write(f"{line}\n")


def up(settings: Settings) -> None:
    """Start the lab and say what stands."""
    result = commands.up(settings, progress)
    how = "was up already" if result.was_up else "is up"
    sys.stdout.write(f"the lab {how}: {result.ready.endpoint_url}, stock image {result.ready.stock_image}\n")


def down(settings: Settings, *, forget_images: bool) -> None:
    """End the lab, and say what is kept of it."""
    ended = commands.down(settings, forget_images=forget_images)
    sys.stdout.write("the lab is down, nothing of it runs\n" if ended.was_there else "the lab was down already\n")
    if ended.forgotten:
        sys.stdout.write(f"baked AMIs forgotten: {', '.join(ended.forgotten)}\n")
    if ended.kept:
        kept = ", ".join(ended.kept)
        sys.stdout.write(f"baked AMIs kept for the next start: {kept} (--forget-images removes them)\n")


def status(settings: Settings, *, as_json: bool) -> None:
    """Print what stands in the lab."""
    found = commands.status(settings)
    if as_json:
        sys.stdout.write(json.dumps(asdict(found), indent=2, default=str) + "\n")
        return
    if found.ready is None:
        sys.stdout.write("the lab is down: invoke lab.up\n")
        return
    sys.stdout.write(f"the lab is up: {found.ready.endpoint_url}, stock image {found.ready.stock_image}\n")
    console = Console(highlight=False)
    for title, columns, rows in _tables(found):
        table = Table(*columns, title=title, title_justify="left")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for machine in found.machines:
        if machine.console:
            sys.stdout.write(f"last lines of {machine.id}'s console:\n  " + "\n  ".join(machine.console) + "\n")


def _tables(found: Status) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    yield (
        "instances",
        ("id", "name", "state", "zone", "private", "public", "machine"),
        [
            (m.id, m.name, m.state, m.zone, m.private_ip, m.public_ip, m.reason or ("runs" if m.running else "-"))
            for m in found.machines
        ],
    )
    yield (
        "volumes",
        ("id", "name", "GiB", "state", "attached to"),
        [(v["VolumeId"], _name(v), str(v["Size"]), v["State"], _bonds(v)) for v in found.volumes],
    )
    yield (
        "Elastic IPs",
        ("address", "name", "instance"),
        [(a["PublicIp"], _name(a), a.get("InstanceId") or "-") for a in found.addresses],
    )
    yield (
        "images",
        ("id", "name", "state"),
        [(i["ImageId"], i.get("Name", ""), i["State"]) for i in found.images],
    )
    if found.faults:
        yield (
            "faults that are on",
            ("name", "options", "what it did"),
            [(f["name"], ", ".join(f"{k} {v}" for k, v in f["options"].items()), f["said"]) for f in found.faults],
        )


def _name(item: Any) -> str:
    return next((str(tag["Value"]) for tag in item.get("Tags", []) if tag["Key"] == "Name"), "")


def _bonds(volume: Any) -> str:
    return ", ".join(f"{b['InstanceId']} {b['Device']} {b['State']}" for b in volume.get("Attachments", [])) or "-"


def logs(settings: Settings, instance: str, *, follow: bool) -> None:
    """Print the lab's log or a machine's console."""
    for line in commands.logs(settings, instance, follow=follow):
        sys.stdout.write(line)


def shell(settings: Settings, instance: str) -> int:
    """Log in to a machine; return ssh's exit code."""
    return subprocess.call(commands.shell(settings, instance))
