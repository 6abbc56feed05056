"""The daemon's process: may it start here, start it detached, find it, end it, and clear what a crashed one left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lab.configuration import LabConfiguration
from lab.daemon import PROGRESS_FILE, Ready
from transcoder.errors import Failed, Refused
from transcoder.settings import ROOT, child_environment

Progress = Callable[[str], None]

PACKAGES = {
    "linux.uml": "user-mode-linux",
    "nft": "nftables",
    "mmdebstrap": "mmdebstrap",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "ssh-keygen": "openssh-client",
}
"""Which Debian package has a tool that a lab with machines needs."""
UP_BUDGET_SECONDS = 1800.0
DOWN_BUDGET_SECONDS = 60.0
PORT_BUDGET_SECONDS = 2.0
POLL_SECONDS = 0.1

_STARTED: list[subprocess.Popen[bytes]] = []
"""Daemons that this process has started. They outlive it; the handles are kept because dropping one is a warning."""


def read_ready(configuration: LabConfiguration, *, answering: bool = True) -> Ready | None:
    """Return what the running daemon says of itself; None when there is none, or only a crashed one's file.

    :param answering: also take None for a process that does not answer at its port.
    """
    if not configuration.daemon_file.exists():
        return None
    ready = Ready(**json.loads(configuration.daemon_file.read_text()))
    if not is_daemon(ready.pid):
        return None
    return ready if not answering or port_is_taken(ready.port) else None


def is_daemon(pid: int) -> bool:
    """Tell whether a process is a lab's daemon that lives, and not a later user of its number."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return b"lab.daemon" in words and state not in "ZX"


def check_host(configuration: LabConfiguration) -> None:
    """Refuse a machine on which the lab cannot start, with every reason.

    :raises Refused: not root, a tool is missing (with its package), or the port is in use.
    """
    reasons = []
    if port_stays_taken(configuration.endpoint_port):
        reasons.append(f"port {configuration.endpoint_port} is in use by another program")
    needed = PACKAGES if configuration.machines == "uml" else {"ssh-keygen": PACKAGES["ssh-keygen"]}
    missing = {tool: package for tool, package in needed.items() if shutil.which(tool) is None}
    reasons += [f"{tool} is missing (package {package})" for tool, package in missing.items()]
    if configuration.machines == "uml" and os.geteuid() != 0:
        reasons.append("machines need root: network namespaces and bridges")
    if reasons:
        packages = " ".join(sorted(set(missing.values())))
        hint = f"apt-get install {packages}" if packages else "run as root, or free the port"
        raise Refused(f"the lab {configuration.name!r} cannot start on this machine", reasons=reasons, hint=hint)


def port_is_taken(port: int) -> bool:
    """Tell whether somebody listens on a port of the loopback."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def port_stays_taken(port: int) -> bool:
    """Tell whether somebody listens on a port and goes on: a killed process keeps its sockets for a moment."""
    deadline = time.monotonic() + PORT_BUDGET_SECONDS
    while port_is_taken(port):
        if time.monotonic() > deadline:
            return True
        time.sleep(POLL_SECONDS)
    return False


def clear(configuration: LabConfiguration) -> None:
    """Remove what a crashed lab left: machines, network, state."""
    if configuration.machines == "uml" and os.geteuid() == 0:
        from lab.machine import reap  # noqa: PLC0415 - only a lab with machines has it
        from lab.network import Network  # noqa: PLC0415

        reap(configuration.run_directory)
        Network(configuration.name, configuration.network, configuration.run_directory).down()
    if configuration.state_directory.exists():
        shutil.rmtree(configuration.state_directory)
    _STARTED[:] = [process for process in _STARTED if process.poll() is None]


def start(configuration: LabConfiguration, environment: Path, progress: Progress) -> Ready:
    configuration.state_directory.mkdir(parents=True, mode=0o700)
    errors = configuration.state_directory / "stderr"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.daemon", "--env", str(environment)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
            env=child_environment(PYTHONUNBUFFERED="1"),
        )
        _STARTED.append(process)
        return _wait_until_ready(configuration, process, progress)


def _wait_until_ready(configuration: LabConfiguration, process: subprocess.Popen[bytes], progress: Progress) -> Ready:
    told, deadline = 0, time.monotonic() + UP_BUDGET_SECONDS
    errors = (configuration.state_directory / "stderr").open()  # open before a failing daemon removes it
    with errors:
        while time.monotonic() < deadline:
            told = _tell(configuration.state_directory / PROGRESS_FILE, told, progress)
            ready = read_ready(configuration)
            if ready is not None:
                _tell(configuration.state_directory / PROGRESS_FILE, told, progress)
                return ready
            if process.poll() is not None:
                text = errors.read().strip()
                raise _ended(process.returncode, text)
            time.sleep(POLL_SECONDS)
    process.terminate()
    raise Failed(f"the lab was not ready after {UP_BUDGET_SECONDS:.0f} s", hint="invoke lab.down, then invoke lab.up")


def _ended(code: int, text: str) -> Refused | Failed:
    last = "\n".join(text.splitlines()[-20:]) or f"exit {code}"
    if code == Refused.exit_code:
        return Refused(f"the lab did not start: {last}")
    return Failed(f"the lab did not come up: {last}", hint="invoke lab.down, then invoke lab.up")


def _tell(path: Path, told: int, progress: Progress) -> int:
    """Pass on the lines of the daemon's progress that are new; returns how many there are now."""
    lines = path.read_text().splitlines() if path.exists() else []
    for line in lines[told:]:
        progress(line)
    return len(lines)


def end(pid: int) -> None:
    """Ask the daemon to end; kill it when it does not."""
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_BUDGET_SECONDS
    while is_daemon(pid) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if is_daemon(pid):
        os.kill(pid, signal.SIGKILL)
