"""What is left of a lab on this machine: must be nothing once it is down."""

from __future__ import annotations

import os
from pathlib import Path

from lab.command import run
from lab.configuration import LabConfiguration
from lab.host_forwarding import table_name
from lab.namespace import NAMESPACES

PROC = Path("/proc")


def find(configuration: LabConfiguration) -> list[str]:
    """Return one line for every process, device, route, rule and directory that a lab has left behind."""
    found = [f"process {pid}: {text}" for pid, text in processes(configuration)]
    if configuration.state_directory.exists():
        found.append(f"directory {configuration.state_directory}")
    if configuration.machines == "uml":
        found += network(configuration)
    return found


def processes(configuration: LabConfiguration) -> list[tuple[int, str]]:
    """Return (pid, command line) of machines and helpers: those whose command line names the lab's run directory."""
    mark = os.fsencode(f"{configuration.run_directory}/")
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            words = _command_line(entry)
            if mark in words:
                found.append((int(entry.name), words.replace(b"\0", b" ").decode(errors="replace").strip()[:120]))
    return found


def network(configuration: LabConfiguration) -> list[str]:
    """Return what is left of the namespace, the link to it, the routes and the rules on the host."""
    found = []
    if (NAMESPACES / configuration.name).exists():
        found.append(f"network namespace {configuration.name}")
    links = run("ip", "-oneline", "link", "show")
    found += [f"link {line.strip()[:80]}" for line in links.splitlines() if f": {configuration.name}-host" in line]
    routes = run("ip", "route", "show", "root", configuration.network)
    found += [f"route {line.strip()}" for line in routes.splitlines()]
    if f"table ip {table_name(configuration.name)}\n" in run("nft", "list", "tables") + "\n":
        found.append(f"nftables table {table_name(configuration.name)}")
    return found


def _command_line(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
