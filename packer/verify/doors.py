"""Who gets in: sshd, what listens, the metadata service, and what must be this machine's own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from packer.rootfs import render_rootfs
from packer.verify.check import Subject, Wrong, none_of
from transcoder.catalog.history import at, numbers
from transcoder.catalog.livepeer import PORTS

SSHD = {
    "passwordauthentication": {"no"},
    "permitemptypasswords": {"no"},
    "permitrootlogin": {"no", "without-password", "prohibit-password"},
    "pubkeyauthentication": {"yes"},
    "kbdinteractiveauthentication": {"no"},
    "challengeresponseauthentication": {"no"},
}
"""What `sshd -T` must say at least; OpenSSH 8.7 renamed the last one to the one before: it says either or both."""
SSHD_FILES = "etc/ssh/sshd_config"
"""What the path of each file begins with in which the image says more: all of that must be so."""
SPELLINGS = {"without-password": "prohibit-password"}
"""Words that mean the same: `sshd -T` prints the one or the other, by its version."""
DHCP = {("udp", 68), ("udp", 546)}
"""DHCP clients have to be reached from outside."""
METADATA = "http://169.254.169.254/latest"
CLOCK_STEP = 120.0
"""Seconds by which the time of a boot may have moved when chrony set the clock."""


def sshd(subject: Subject) -> str:
    """sshd takes keys only, and does all that the image's own files tell it (sshd -T)"""
    told = read_sshd(subject.output("/usr/sbin/sshd -T"))
    wrong = [f"{key} {told[key]}" for key, allowed in SSHD.items() if key in told and told[key] not in allowed]
    asked = 0
    for path, file in render_rootfs(subject.settings).items():
        if path.startswith(SSHD_FILES):
            wanted = read_sshd(file.content.decode())
            asked += len(wanted)
            wrong += [f"{key} {told[key]}, not {value}" for key, value in wanted.items() if not _does(told, key, value)]
    shown = ", ".join(f"{key} {told[key]}" for key in SSHD if key in told)
    return none_of(wrong, f"{shown}; all {asked} words of the image's own files")


def read_sshd(text: str) -> dict[str, str]:
    """Return what a configuration of sshd, or `sshd -T`, says by lower-case name: the first of several counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key and not key.startswith("#"):
            found.setdefault(key.lower(), value.strip())
    return found


def _does(told: Mapping[str, str], key: str, value: str) -> bool:
    """Tell whether sshd does what a line of a file says; a word that its version does not print cannot be asked for."""
    if key not in told:
        return True
    return SPELLINGS.get(told[key], told[key]).lower() == SPELLINGS.get(value, value).lower()


def sockets(subject: Subject) -> str:
    """only ssh (and the watch, if [watch] says so) listens on the network; livepeer's control port stays on loopback"""
    allowed = {("tcp", subject.settings.ssh.port), *DHCP}
    watch = subject.settings.watch
    if not ipaddress.ip_address(watch.address).is_loopback:
        allowed.add(("tcp", watch.port))
    found = [socket for socket in subject.machine.socket.get_listening_sockets() if not socket.startswith("unix://")]
    outside = [socket for socket in found if not _on_loopback(socket)]
    wrong = [f"{socket} is open to the network" for socket in outside if _port(socket) not in allowed]
    ports = at(PORTS, numbers(subject.settings.livepeer.version))
    unit = subject.output("systemctl cat livepeer-transcoder.service")
    if f"{ports.flag} {ports.value}" not in unit:
        wrong.append(f"livepeer-transcoder.service does not say {ports.flag} {ports.value}")
    inside = sorted({socket.split("://")[1] for socket in found} - {socket.split("://")[1] for socket in outside})
    own = f"network: {', '.join(sorted(outside))}; loopback: {', '.join(inside) or 'nothing'}"
    return none_of(wrong, f"{own}; control port {ports.flag} {ports.value}")


def _port(socket: str) -> tuple[str, int]:
    protocol, _, rest = socket.partition("://")
    return protocol, int(rest.rpartition(":")[2])


def _on_loopback(socket: str) -> bool:
    address = socket.partition("://")[2].rpartition(":")[0].strip("[]").partition("%")[0]
    return ipaddress.ip_address(address).is_loopback


def host_keys(subject: Subject) -> str:
    """its SSH host keys were made at its first boot, and no machine that is known has one of them"""
    made = subject.output("stat --format='%Y %n' /etc/ssh/ssh_host_*_key").splitlines()
    booted = _booted(subject)
    wrong = [f"{line.split()[1]} is older than this boot" for line in made if int(line.split()[0]) < booted]
    own = {" ".join(line.split()[:2]) for line in subject.output("cat /etc/ssh/ssh_host_*_key.pub").splitlines()}
    others = {name: keys for name, keys in subject.host_keys.items() if name != subject.instance.id}
    wrong += [f"{name} has the same key" for name, keys in others.items() if keys & own]
    kinds = ", ".join(sorted(key.split()[0] for key in own))
    return none_of(wrong, f"{kinds}; different from those of {len(others)} other machines")


def machine_id(subject: Subject) -> str:
    """its machine id was made at its first boot"""
    made, _, text = subject.output("stat --format=%Y /etc/machine-id && cat /etc/machine-id").partition("\n")
    if not re.fullmatch(r"[0-9a-f]{32}", text):
        raise Wrong(f"/etc/machine-id holds {text!r}")
    if int(made) < _booted(subject):
        raise Wrong(f"/etc/machine-id ({text}) is older than this boot: every machine of the AMI has it")
    return text


def _booted(subject: Subject) -> float:
    return float(subject.output("awk '/^btime/ { print $2 }' /proc/stat")) - CLOCK_STEP


def metadata(subject: Subject) -> str:
    """the metadata service wants a token (IMDSv2) where the environment says so, and knows this instance"""
    status = "curl --silent --output /dev/null --max-time 5 --write-out '%%{http_code}' %s"
    bare = subject.machine.run(status, f"{METADATA}/meta-data/instance-id").stdout.strip()
    ask = 'curl --silent --fail --max-time 5 --request PUT --header "X-aws-ec2-metadata-token-ttl-seconds: 60" %s'
    token = subject.output(ask, f"{METADATA}/api/token")
    item = "curl --silent --fail --max-time 5 --header %s %s"
    told = subject.output(item, f"X-aws-ec2-metadata-token: {token}", f"{METADATA}/meta-data/instance-id")
    wanted = "401" if subject.settings.aws.imds_tokens == "required" else "200"
    if bare != wanted:
        raise Wrong(f"without a token it answers {bare}, not {wanted}")
    if told != subject.instance.id:
        raise Wrong(f"it says that this is {told}, not {subject.instance.id}")
    return f"{told}; {bare} without a token"


CHECKS = (sshd, sockets, host_keys, machine_id, metadata)
