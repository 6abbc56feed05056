"""Each program accepts the file that it was given, and what it makes of it is what was meant."""

import os
import re
from typing import Dict, Iterator

from .machine import NOT_FOUND, Machine, Wanted

CHRONY = "/etc/chrony/chrony.conf"
DRIFT = "/var/lib/chrony/chrony.drift"
SSHD = "/etc/ssh/sshd_config.d/10-transcoder.conf"
LIMITS = "/etc/security/limits.d/90-transcoder.conf"
FIREWALL = "/etc/transcoder/firewall.rules"
NEEDRESTART = "/etc/needrestart/conf.d/50-transcoder.conf"
SSHD_ALIASES = {"challengeresponseauthentication": "kbdinteractiveauthentication"}
"""OpenSSH 8.7 and later shows the one by the other's name."""
UPGRADES = {
    "APT::Periodic::Update-Package-Lists": "1",
    "APT::Periodic::Unattended-Upgrade": "1",
    "Unattended-Upgrade::Automatic-Reboot": "false",
    "Unattended-Upgrade::InstallOnShutdown": "false",
}
ORIGIN = re.compile(r"Unattended-Upgrade::(Allowed-Origins|Origins-Pattern)::$")


def clock(machine: Machine, _: Wanted) -> "Iterator[str]":
    """chronyd takes its file. 80-clean.sh has ended it, so that it leaves no drift of this machine's clock."""
    if not any(line.startswith("server 169.254.169.123 ") for line in machine.lines(CHRONY)):
        yield "{}: does not ask 169.254.169.123".format(CHRONY)
    if machine.run("chronyd", "--version").output.startswith("chronyd (chrony) version 3."):
        yield from _clock_before_4(machine)
        return
    status, output = machine.run("chronyd", "-p", "-f", CHRONY)
    if status:
        yield "`chronyd -p` refuses {}: {}".format(CHRONY, output)


def _clock_before_4(machine: Machine) -> "Iterator[str]":
    """-p came with 4.0. -Q reads the file and asks the servers, without setting the clock, and writes down the drift.

    It gets the file itself, not a copy: AppArmor lets chronyd read nowhere else.
    """
    output = machine.run("timeout", "20", "chronyd", "-Q", "-f", CHRONY).output
    if machine.exists(DRIFT):
        os.remove(machine.on_disk(DRIFT))
    if "Fatal error" in output or "not found" in output:
        yield "`chronyd -Q` refuses {}: {}".format(CHRONY, output)


def ssh_server(machine: Machine, _: Wanted) -> "Iterator[str]":
    """Every line of our file is what sshd does, whatever else is in its files. It wants a host key to say so."""
    lines = machine.lines(SSHD)
    if not lines:
        yield "{}: not there, or empty".format(SSHD)
        return
    with machine.scratch() as place:
        machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place + "/key")
        status, output = machine.run("sshd", "-t", "-h", place + "/key")
        if status:
            yield "`sshd -t` refuses its files: {}".format(output)
            return
        effective = parse_sshd(machine.run("sshd", "-T", "-h", place + "/key").output)
    for line in lines:
        name, value = line.partition(" ")[::2]
        key = name.lower()
        found = effective.get(key, effective.get(SSHD_ALIASES.get(key, key), "nothing"))
        if found.lower() != value.strip().lower():
            yield "sshd: {} is {}, {} says {}".format(name, found, SSHD, value)


def parse_sshd(output: str) -> "Dict[str, str]":
    """Return what `sshd -T` prints by name, in lower case; of several values the first."""
    found = {}  # type: Dict[str, str]
    for line in output.splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name.lower(), value.strip())
    return found


def log_rotation(machine: Machine, _: Wanted) -> "Iterator[str]":
    """logrotate goes through its files without an error: after one it leaves out the rest."""
    status, output = machine.run("logrotate", "--debug", "/etc/logrotate.conf")
    errors = [line for line in output.splitlines() if line.startswith("error:")]
    yield from ("logrotate: " + line for line in errors)
    if status and not errors:
        yield "`logrotate --debug` fails with {}: {}".format(status, output[-300:])


def system_log(machine: Machine, _: Wanted) -> "Iterator[str]":
    """rsyslogd, where there is one, takes its files."""
    status, output = machine.run("rsyslogd", "-N1")
    if status not in (0, NOT_FOUND):
        yield "`rsyslogd -N1` refuses its files: {}".format(output)


def sudoers(machine: Machine, _: Wanted) -> "Iterator[str]":
    """A mistake in one of its files, and nobody is root any more."""
    status, output = machine.run("visudo", "-c")
    if status:
        yield "`visudo -c` refuses: {}".format(output)


def firewall(machine: Machine, _: Wanted) -> "Iterator[str]":
    """The rules can be loaded, into both tables."""
    if not machine.lines(FIREWALL):
        yield "{}: not there, or empty".format(FIREWALL)
        return
    for tool in ("iptables", "ip6tables"):
        rules = machine.run(tool, "--list-rules").output
        older = machine.run(tool + "-legacy", "--list-rules").output
        if "TRANSCODER-INPUT ! -i lo -p tcp" not in rules + older:
            yield "{}: no rule keeps the control ports to this machine: {}".format(tool, rules)


def upgrades(machine: Machine, _: Wanted) -> "Iterator[str]":
    """Security upgrades come by themselves, only they, and nothing reboots."""
    if not machine.exists("/usr/bin/unattended-upgrade"):
        yield "/usr/bin/unattended-upgrade: not there"
    settings = [line.partition(" ") for line in machine.run("apt-config", "dump").output.splitlines()]
    values = [(name, value.strip('";')) for name, _, value in settings]
    for name, wanted in UPGRADES.items():
        found = [value for key, value in values if key == name] or ["not set"]
        if found[-1] != wanted:
            yield "apt: {} is {}, not {}".format(name, found[-1], wanted)
    for name, value in values:
        if ORIGIN.fullmatch(name) and "security" not in value.lower():
            yield "apt: {} would be upgraded by itself".format(value)


def restarts(machine: Machine, _: Wanted) -> "Iterator[str]":
    """needrestart's file is Perl: a mistake in it, and every run of apt ends with an error."""
    status, output = machine.run("perl", "-c", machine.on_disk(NEEDRESTART))
    if status:
        yield "{}: {}".format(NEEDRESTART, output)
    for unit in ("livepeer-transcoder", "geth"):
        if "^{}\\.service$".format(unit) not in machine.read(NEEDRESTART):
            yield "{}: may restart {}".format(NEEDRESTART, unit)


def open_files(machine: Machine, _: Wanted) -> "Iterator[str]":
    """Log-in sessions of root: a wildcard would not cover it."""
    if "root hard nofile 50000" not in machine.lines(LIMITS):
        yield "{}: no limit of open files for root".format(LIMITS)
    wrong = re.compile(r"^[^#]*/lib/security/pam_limits\.so")
    for path in machine.find("/etc/pam.d/*"):
        if any(wrong.match(line) for line in machine.lines(path)):
            yield "{}: names /lib/security/pam_limits.so, which is not there: nobody could log in".format(path)
