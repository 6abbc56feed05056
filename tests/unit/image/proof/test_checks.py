"""Each thing that must not be in an image is found, by its check and by no other, with its path."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.image.proof.machines import CHECKS, WANTED, Change, clean, proof
from tests.unit.image.rendered import SCRIPTS

PLANTS: dict[str, tuple[str, Change, str]] = {
    "a host key left behind": (
        "no host key",
        lambda m: m.put("etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA"),
        "/etc/ssh/ssh_host_ed25519_key.pub: a host key",
    ),
    "a machine id": (
        "machine id empty",
        lambda m: m.put("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        "/etc/machine-id: an id",
    ),
    "no machine id at all": ("machine id empty", lambda m: (m.root / "etc/machine-id").unlink(), "has to be there"),
    "a machine id of dbus": ("machine id empty", lambda m: m.put("var/lib/dbus/machine-id", "01"), "not a link"),
    "a seed": (
        "machine id empty",
        lambda m: m.put("var/lib/systemd/random-seed", "x"),
        "/var/lib/systemd/random-seed: ",
    ),
    "an authorized key": (
        "no authorized key",
        lambda m: m.put("home/ubuntu/.ssh/authorized_keys", "ssh-rsa AAAA"),
        "/home/ubuntu/.ssh/authorized_keys: ",
    ),
    "cloud-init's state": (
        "no state of cloud-init",
        lambda m: m.put("var/lib/cloud/data/instance-id", "i-1"),
        "/var/lib/cloud/data/instance-id: ",
    ),
    "a link to an instance that is gone": (
        "no state of cloud-init",
        lambda m: (m.put("var/lib/cloud/x").parent / "instance").symlink_to("instances/i-1"),
        "/var/lib/cloud/instance: state",
    ),
    "a history": ("no history of a shell", lambda m: m.put("root/.bash_history", "ls"), "/root/.bash_history: "),
    "AWS's own directory": (
        "no history of a shell",
        lambda m: m.put("home/ubuntu/.aws/config", "[default]"),
        "/home/ubuntu/.aws: ",
    ),
    "a host name": ("no name of one machine", lambda m: m.put("etc/hostname", "ip-10-0-0-7\n"), "ip-10-0-0-7"),
    "a host name in hosts": (
        "no name of one machine",
        lambda m: m.put("etc/hosts", "127.0.1.1 ip-10-0-0-7\n"),
        "/etc/hosts: the name of one machine, 127.0.1.1 ip-10-0-0-7",
    ),
    "a log": ("logs empty", lambda m: m.put("var/log/auth.log", "sudo: x"), "/var/log/auth.log: a log of 7 bytes"),
    "a report of a crash": ("logs empty", lambda m: m.put("var/crash/_usr_bin_x.crash", ""), "/var/crash/_usr_bin_x"),
    "an index of apt": (
        "no list and no archive of apt",
        lambda m: m.put("var/lib/apt/lists/archive_main_Packages", "x"),
        "/var/lib/apt/lists/archive_main_Packages: an index",
    ),
    "the clock's drift": (
        "nothing of the bake",
        lambda m: m.put("var/lib/chrony/chrony.drift", "1 2"),
        "/var/lib/chrony/chrony.drift: ",
    ),
    "data below a mount point": (
        "nothing of the bake",
        lambda m: m.put("d1/.transcoder.json", "{}"),
        "/d1/.transcoder",
    ),
    "a password": (
        "no password",
        lambda m: m.put("etc/shadow", "ubuntu:$6$salt$hash:17000:0:99999:7:::\n"),
        "/etc/shadow: ubuntu has a password",
    ),
    "an empty password": ("no password", lambda m: m.put("etc/shadow", "u::1:0:9:7:::\n"), "u has an empty password"),
    "a unit for everybody to write": (
        "nothing of root's for everybody to write",
        lambda m: m.put("etc/systemd/system/x.service", "[Unit]", 0o666),
        "/etc/systemd/system/x.service: everybody may write to it (666)",
    ),
    "a baked file for a group to write": (
        "what was baked is root's",
        lambda m: (m.root / "etc/hostname").chmod(0o664),
        "/etc/hostname: owner",
    ),
    "a baked file that is gone": (
        "what was baked is root's",
        lambda m: m.put("etc/transcoder/files.txt", "etc/gone\n"),
        "/etc/gone: was baked, and is not there",
    ),
    "a set-user-id program of nobody's": (
        "no surprising set-user-id",
        lambda m: m.answers.update({"find ": (0, f"{m.root}/usr/local/bin/sh")}),
        "/usr/local/bin/sh: runs as its owner or group",
    ),
    "a user with another number": (
        "users have their numbers",
        lambda m: m.answers.update({"getent passwd geth": (0, "geth:x:999:999::/nonexistent:/usr/sbin/nologin")}),
        "user geth: is 'geth:x:999:999",
    ),
    "another livepeer": (
        "livepeer -version",
        lambda m: m.answers.update({"/usr/local/bin/livepeer -version": (0, "0.2.3")}),
        "does not say 0.2.4 but: 0.2.3",
    ),
    "a livepeer that does not run": (
        "livepeer -version",
        lambda m: m.answers.update({"/usr/local/bin/livepeer -version": (127, "GLIBC_2.34 not found")}),
        "fails with 127: GLIBC_2.34 not found",
    ),
    "another geth": (
        "geth version",
        lambda m: m.answers.update({"/usr/local/bin/geth version": (0, "1.9.0")}),
        "does not say 1.8.27",
    ),
    "a geth that does not know a key": (
        "geth dumpconfig",
        lambda m: m.answers.update({"/usr/local/bin/geth --config": (1, "field 'X' is not defined in eth.Config")}),
        "field 'X' is not defined",
    ),
    "a service that starts without its volume": (
        "services refuse without their volume",
        lambda m: m.answers.update({"/usr/local/lib/transcoder/check-volume": (0, "")}),
        "check-volume livepeer without a volume: 0",
    ),
    "a directive that systemd does not know": (
        "systemd-analyze verify",
        lambda m: m.answers.update({"systemd-analyze verify": (0, "/etc/x.service:3: Unknown 'LoadCredential'")}),
        "Unknown 'LoadCredential'",
    ),
    "a timer that the environment does not want": (
        "units enabled",
        lambda m: m.answers.update({"systemctl is-enabled night.timer": (0, "enabled")}),
        "night.timer: is enabled, and no boot is to start it",
    ),
    "a unit that is not enabled": (
        "units enabled",
        lambda m: m.answers.update({"systemctl is-enabled geth.service": (1, "disabled")}),
        "geth.service: is disabled, not enabled",
    ),
    "two clocks": (
        "units enabled",
        lambda m: m.answers.update({"systemctl is-enabled systemd-timesyncd.service": (0, "enabled")}),
        "systemd-timesyncd.service: is enabled beside chrony",
    ),
    "a word that chronyd 3.2 does not know": (
        "chronyd takes its file",
        lambda m: m.answers.update({"timeout 20 chronyd -Q": (1, "Fatal error : Invalid command at line 4")}),
        "Invalid command at line 4",
    ),
    "a word that chronyd 4 does not know": (
        "chronyd takes its file",
        lambda m: m.answers.update(
            {"chronyd --version": (0, "chronyd (chrony) version 4.5"), "chronyd -p": (1, "Invalid directive")}
        ),
        "`chronyd -p` refuses",
    ),
    "sshd with passwords": (
        "sshd does what its file says",
        lambda m: m.answers.update({"sshd -T": (0, m.answers["sshd -T"][1].replace("passwordauthentication no", ""))}),
        "sshd: PasswordAuthentication is nothing",
    ),
    "an sshd that refuses its file": (
        "sshd does what its file says",
        lambda m: m.answers.update({"sshd -t": (255, "Bad configuration option: Foo")}),
        "Bad configuration option: Foo",
    ),
    "a broken sudoers": (
        "sudo takes its files",
        lambda m: m.answers.update({"visudo -c": (1, "syntax error near line 3")}),
        "syntax error near line 3",
    ),
    "a broken logrotate": (
        "logrotate takes its files",
        lambda m: m.answers.update({"logrotate": (0, "error: x:1 unknown option 'rotat'")}),
        "unknown option 'rotat'",
    ),
    "a broken rsyslog": ("rsyslogd takes its files", lambda m: m.answers.update({"rsyslogd": (1, "no")}), "refuses"),
    "no rule for IPv6": (
        "control ports behind the firewall",
        lambda m: m.answers.update({"ip6tables": (0, "-P INPUT ACCEPT")}),
        "ip6tables: no rule",
    ),
    "reboots by themselves": (
        "security upgrades, no reboot",
        lambda m: m.answers.update(
            {"apt-config dump": (0, m.answers["apt-config dump"][1] + 'Unattended-Upgrade::Automatic-Reboot "true";')}
        ),
        "Automatic-Reboot is true, not false",
    ),
    "upgrades that are not for security": (
        "security upgrades, no reboot",
        lambda m: m.answers.update(
            {
                "apt-config dump": (
                    0,
                    m.answers["apt-config dump"][1] + 'Unattended-Upgrade::Allowed-Origins:: "${distro_id}:x-updates";',
                )
            }
        ),
        "x-updates would be upgraded by itself",
    ),
    "no unattended upgrades": (
        "security upgrades, no reboot",
        lambda m: (m.root / "usr/bin/unattended-upgrade").unlink(),
        "/usr/bin/unattended-upgrade: not there",
    ),
    "a needrestart that restarts geth": (
        "needrestart leaves the services alone",
        lambda m: m.put("etc/needrestart/conf.d/50-transcoder.conf", "qr(^livepeer-transcoder\\.service$)"),
        "may restart geth",
    ),
    "no limits": (
        "limit of open files",
        lambda m: m.put("etc/security/limits.d/90-transcoder.conf", "* hard nofile 50000\n"),
        "no limit of open files for root",
    ),
    "the path of PAM that locks log-ins out": (
        "limit of open files",
        lambda m: m.put("etc/pam.d/sshd", "session required /lib/security/pam_limits.so\n"),
        "/etc/pam.d/sshd: names /lib/security/pam_limits.so",
    ),
    "a setting that the kernel has not taken": (
        "settings of the kernel",
        lambda m: m.put("proc/sys/vm/swappiness", "60\n"),
        "vm.swappiness: is 60",
    ),
    "swap in use": (
        "no swap",
        lambda m: m.put("proc/swaps", "Filename\n/swapfile file 1 0 -2\n"),
        "/swapfile is in use",
    ),
    "swap in fstab": ("no swap", lambda m: m.put("etc/fstab", "/swapfile none swap sw 0 0\n"), "/etc/fstab: /swapfile"),
    "swap that a unit can bring": (
        "no swap",
        lambda m: m.answers.update({"systemctl is-enabled swap.target": (0, "static")}),
        "swap.target: is static, not masked",
    ),
}


def test_nothing_is_found_in_a_clean_machine(tmp_path: Path) -> None:
    assert clean(tmp_path).prove() == {}


@pytest.mark.parametrize("name", PLANTS)
def test_is_found_with_its_place(name: str, tmp_path: Path) -> None:
    title, plant, expected = PLANTS[name]
    baked = clean(tmp_path)
    plant(baked)

    found = baked.prove()

    assert list(found) == [title]
    assert expected in " | ".join(found[title])


def test_every_check_has_a_case_here_or_among_the_secrets() -> None:
    elsewhere = {"no secret", "free space", "a key can be made without geth"}

    assert {title for title, _, _ in PLANTS.values()} | elsewhere == set(CHECKS)


def test_a_disk_that_is_nearly_full_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(tmp_path)
    few = os.statvfs_result((4096, 4096, *real[2:4], 1000, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: few)

    assert clean(tmp_path).findings("free space") == ["/: 3 MiB are free, less than 1024"]


def test_what_an_agent_logs_after_the_clean_up_is_let_pass_when_it_is_little(tmp_path: Path) -> None:
    baked = clean(tmp_path)
    log, cleaned = baked.put("var/log/agent.log", "no role"), baked.put("run/transcoder/cleaned")

    os.utime(cleaned, (1000, 1000))
    os.utime(log, (1001, 1001))
    assert baked.findings("logs empty") == []

    os.utime(log, (999, 999))
    assert baked.findings("logs empty") == ["/var/log/agent.log: a log of 7 bytes"]

    log.write_text("x" * 5000)
    assert baked.findings("logs empty") == ["/var/log/agent.log: a log of 5000 bytes"]


def test_the_question_of_an_old_chronyd_leaves_no_drift(tmp_path: Path) -> None:
    baked = clean(tmp_path)
    drift = baked.put("var/lib/chrony/chrony.drift", "1 2")

    assert baked.findings("chronyd takes its file") == []
    assert not drift.exists()


def test_all_findings_of_all_checks_are_told_at_once(tmp_path: Path) -> None:
    baked = clean(tmp_path)
    for name in ("a host key left behind", "a log", "swap in use", "another geth"):
        PLANTS[name][1](baked)

    assert list(baked.prove()) == ["no host key", "logs empty", "geth version", "no swap"]


def test_a_check_that_breaks_is_a_finding_and_the_others_run(tmp_path: Path) -> None:
    baked = clean(tmp_path)
    baked.put("etc/ssh/ssh_host_rsa_key", "x")

    def broken(*_: object) -> Iterator[str]:
        raise RuntimeError("out of order")

    checks = (proof.Check("broken", broken), proof.CHECKS[0])
    found = dict(proof.prove(baked.machine, WANTED, checks))

    assert found["broken"] == ["the check itself broke: RuntimeError('out of order')"]
    assert found["no host key"] == ["/etc/ssh/ssh_host_rsa_key: a host key"]


def test_what_belongs_to_one_machine_is_looked_for_first(tmp_path: Path) -> None:
    assert list(CHECKS)[:4] == ["no host key", "machine id empty", "no authorized key", "no state of cloud-init"]


WITHOUT_GETH = WANTED._replace(users=[("livepeer", "2101")], units=["d1.mount"], geth="")


def test_an_image_without_geth_is_not_asked_for_one(tmp_path: Path) -> None:
    baked = clean(tmp_path)

    for title in ("geth version", "geth dumpconfig"):
        assert list(CHECKS[title](baked.machine, WITHOUT_GETH)) == []
    assert not [line for line in baked.asked if "bin/geth" in line]


def test_an_image_without_geth_has_to_make_a_key_by_itself(tmp_path: Path) -> None:
    baked, title = clean(tmp_path), "a key can be made without geth"

    baked.answers["/usr/local/lib/transcoder/new-account"] = (0, "0x0f54")
    assert list(CHECKS[title](baked.machine, WITHOUT_GETH)) == []

    baked.answers["/usr/local/lib/transcoder/new-account"] = (1, "No module named 'Cryptodome'")
    assert "No module named 'Cryptodome'" in next(iter(CHECKS[title](baked.machine, WITHOUT_GETH)))
    assert baked.findings(title) == []


def test_the_command_tells_each_check_and_ends_with_1(tmp_path: Path) -> None:
    """The real thing, against a directory: most commands are not there, and every one is a finding."""
    baked = clean(tmp_path)
    baked.put("etc/ssh/ssh_host_rsa_key", "x")
    argv = [sys.executable, "-B", str(SCRIPTS / "prove-image"), "--root", str(tmp_path), "--livepeer", "9.9.9"]
    argv += ["--users", "livepeer:2101", "--units", "d1.mount"]

    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": "/nowhere"})

    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (1, "")
    assert lines[0] == "FOUND no host key"
    assert lines[1] == "ok    machine id empty"
    assert "prove-image: found /etc/ssh/ssh_host_rsa_key: a host key" in lines
    assert "this image is not fit for use; geth none, livepeer 9.9.9" in lines[-1]
