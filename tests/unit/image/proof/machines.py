"""A machine for the proof: a directory with what a clean image has, and somebody who answers commands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.unit.image.rendered import SCRIPTS
from transcoder.settings import ROOT

sys.path.insert(0, str(SCRIPTS))
try:
    import proof  # type: ignore[import-not-found, unused-ignore]
    from proof import patterns  # type: ignore[import-not-found, unused-ignore]
    from proof.machine import Machine, Result, Wanted  # type: ignore[import-not-found, unused-ignore]
finally:
    sys.path.remove(str(SCRIPTS))

__all__ = ["CHECKS", "WANTED", "Baked", "clean", "patterns", "proof"]

WANTED = Wanted(
    [("livepeer", "2101"), ("geth", "2102")],
    ["d1.mount", "geth.service", "transcoder-firewall.service"],
    "0.2.4",
    "1.8.27",
    resting_units=["night.service", "night.timer"],
)
CHECKS = {check.title: check.look for check in proof.CHECKS}
FILES = ROOT / "files" / "rootfs"
CONFIGURATION = (
    *("etc/ssh/sshd_config.d/10-transcoder.conf", "etc/chrony/chrony.conf", "etc/sysctl.d/60-transcoder.conf"),
    "etc/needrestart/conf.d/50-transcoder.conf",
)
SSHD = (FILES / CONFIGURATION[0]).read_text()
KERNEL = (FILES / CONFIGURATION[2]).read_text()
RULES = "-P INPUT ACCEPT\n-A TRANSCODER-INPUT ! -i lo -p tcp -m multiport --dports 8935,8545,8546,8551 -j DROP"
APT = """
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Allowed-Origins "";
Unattended-Upgrade::Allowed-Origins:: "${distro_id}:${distro_codename}-security";
Unattended-Upgrade::Automatic-Reboot "false";
Unattended-Upgrade::InstallOnShutdown "false";
"""

Answer = tuple[int, str]


def commands() -> dict[str, Answer]:
    """Return what a clean image answers, by the beginning of the command without the way to it."""
    nobody = "::/nonexistent:/usr/sbin/nologin"
    refused = "check-volume: refused: nothing is mounted on /d1: type `fab attach` to attach it"
    return {
        "find ": (0, ""),
        "getent passwd livepeer": (0, f"livepeer:x:2101:2101{nobody}"),
        "getent passwd geth": (0, f"geth:x:2102:2102{nobody}"),
        "/usr/local/bin/livepeer -version": (0, "Livepeer Node Version: 0.2.4"),
        "/usr/local/bin/geth version": (0, "Geth\nVersion: 1.8.27-stable"),
        "/usr/local/bin/geth --config": (0, '[Node]\nDataDir = "x"'),
        "/usr/local/lib/transcoder/check-volume": (78, refused),
        "systemd-analyze verify": (0, "Attempted to remove disk file system, and we can't allow that."),
        "systemctl is-enabled swap.target": (1, "masked"),
        "systemctl is-enabled systemd-timesyncd.service": (1, "disabled"),
        "systemctl is-enabled": (0, "enabled"),
        "systemctl is-enabled night.service": (0, "static"),
        "systemctl is-enabled night.timer": (1, "disabled"),
        "chronyd --version": (0, "chronyd (chrony) version 3.2 (+CMDMON)"),
        "timeout 20 chronyd -Q": (0, "System clock wrong by 0.0 seconds (ignored)"),
        "ssh-keygen": (0, ""),
        "sshd -t": (0, ""),
        "sshd -T": (0, "\n".join(line.lower() for line in SSHD.splitlines() if line and line[0] != "#")),
        "visudo -c": (0, "/etc/sudoers: parsed OK"),
        "logrotate": (0, "reading config file /etc/logrotate.conf"),
        "rsyslogd": (0, ""),
        "iptables": (0, RULES),
        "ip6tables": (0, RULES),
        "apt-config dump": (0, APT),
        "perl -c": (0, "syntax OK"),
    }


@dataclass
class Baked:
    """A baked machine below ``root``; ``answers`` are to be changed as a test likes."""

    root: Path
    answers: dict[str, Answer] = field(default_factory=commands)
    asked: list[str] = field(default_factory=list)

    def put(self, path: str, content: str | bytes = "", mode: int = 0o644) -> Path:
        """Write a file of the machine."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        target.chmod(mode)
        return target

    def findings(self, title: str) -> list[str]:
        """Run one check."""
        return list(CHECKS[title](self.machine, WANTED))

    def prove(self) -> dict[str, list[str]]:
        """Run all checks; return those that found something."""
        return {title: found for title, found in proof.prove(self.machine, WANTED) if found}

    @property
    def machine(self) -> Any:
        """What the checks are given."""
        return Machine(str(self.root), self._answer)

    def _answer(self, argv: list[str], environment: dict[str, str]) -> Any:
        if argv[0] == "runuser":
            argv = argv[6:]
        line = " ".join(argv)
        self.asked.append(line)
        fitting = [name for name in self.answers if line.startswith(name)]
        return Result(*self.answers[max(fitting, key=len)]) if fitting else Result(127, f"{line}: not found")


def clean(root: Path) -> Baked:
    """Make a machine in which no check finds anything."""
    baked = Baked(root)
    for path in CONFIGURATION:
        baked.put(path, (FILES / path).read_bytes())
    for line in KERNEL.splitlines():
        if line and not line.startswith("#"):
            name, _, value = (part.strip() for part in line.partition("="))
            baked.put("proc/sys/" + name.replace(".", "/"), value.replace(" ", "\t") + "\n")
    texts = {
        "etc/machine-id": "",
        "etc/hostname": "",
        "etc/hosts": "127.0.0.1 localhost\n",
        "etc/fstab": "# nothing\nLABEL=cloudimg-rootfs / ext4 defaults 0 0\n",
        "etc/shadow": "root:*:17000:0:99999:7:::\nubuntu:!:17000:0:99999:7:::\n",
        "etc/pam.d/sshd": "session required pam_limits.so\n",
        "etc/security/limits.d/90-transcoder.conf": "root hard nofile 50000\n",
        "etc/transcoder/firewall.rules": "*filter\nCOMMIT\n",
        "etc/transcoder/files.txt": "etc/hostname\n",
        "proc/swaps": "Filename Type Size Used Priority\n",
        "usr/local/bin/livepeer_cli": "",
        "usr/bin/unattended-upgrade": "",
        "var/log/syslog": "",
    }
    for path, text in texts.items():
        baked.put(path, text)
    return baked


Change = Callable[[Baked], object]
