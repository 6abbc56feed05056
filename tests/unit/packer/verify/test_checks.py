"""Each check passes on a machine that is as it should be, and names what it finds on one that is not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from packer.rootfs import render_rootfs
from packer.verify import contents, doors, running
from packer.verify.check import Wrong
from tests.simulated.world import settings
from tests.unit.packer.verify.scripted import DIGEST, IMAGE, Answers, subject
from transcoder import tags

RELEASE = {
    "digest": DIGEST,
    "environment": "simulated",
    "livepeer": {"version": "0.2.4"},
    "geth": {"version": "1.8.27"},
}
NO_GETH = {"enabled": False}
PASSWD = {
    r"^id -u livepeer|^id -g livepeer": "2101\n",
    r"^id -u geth|^id -g geth": "2102\n",
    r"^id -u transcoder-watch|^id -g transcoder-watch": "2103\n",
    r"^getent passwd": "x:x:1:1:x:/nonexistent:/usr/sbin/nologin\n",
    r"^awk -F: .*shadow": "",
}


def test_a_release_file_that_says_what_the_tags_say_passes() -> None:
    assert contents.release(subject({"cat .*release.json": json.dumps(RELEASE)})) == (
        "digest d1d1d1d1d1d1, livepeer 0.2.4, geth 1.8.27"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"digest": "0" * 64}, f"digest '{'0' * 64}', by the tag '{DIGEST}'"),
        ({"geth": {"version": "1.9.0"}}, "geth '1.9.0', by the tag '1.8.27'"),
        ({"environment": "other"}, "environment 'other', by the tag 'simulated'"),
    ],
    ids=["digest", "version", "environment"],
)
def test_a_release_file_of_another_image_is_named(change: dict[str, object], said: str) -> None:
    with pytest.raises(Wrong) as caught:
        contents.release(subject({"cat .*release.json": json.dumps(RELEASE | change)}))
    assert str(caught.value) == said


def test_an_image_without_geth_is_looked_at_without_geth() -> None:
    own = {key: value for key, value in IMAGE.tags.items() if key != tags.GETH_VERSION}
    notes = {key: value for key, value in RELEASE.items() if key != "geth"}
    tables: dict[str, Any] = {"geth": NO_GETH, "livepeer": {"eth_url": "https://rpc.example"}}
    answers = {"cat .*release.json": json.dumps(notes), "livepeer -version": "Livepeer Node Version: 0.2.4-unstable\n"}
    machine = subject({**answers, **PASSWD}, image=replace(IMAGE, tags=own), **tables)
    assert contents.release(machine).endswith("geth none")
    assert contents.programs(machine) == "livepeer 0.2.4"
    assert contents.users(machine).startswith("livepeer 2101:2101, transcoder-watch 2103:2103, all")
    assert not [command for command in machine.host.asked if "geth" in command]  # type: ignore[attr-defined]


def test_a_program_of_another_version_is_named() -> None:
    answers = {"livepeer -version": "Livepeer Node Version: 0.3.0\n", "geth version": "Version: 1.8.27\n"}
    with pytest.raises(Wrong, match=r"does not say 0\.2\.4: Livepeer Node Version: 0\.3\.0"):
        contents.programs(subject(answers))


def test_a_program_that_does_not_run_is_named_with_its_status() -> None:
    with pytest.raises(Wrong, match="ended with 127: no such file"):
        contents.programs(subject({"livepeer -version": (127, "no such file")}))


def test_packages_that_are_missing_are_named_all() -> None:
    patterns = {r"dpkg-query -f '\$\{Status\}'": "install ok installed", r"\$\{Version\}": "install ok installed 3.2"}
    assert "chrony 3.2" in contents.packages(subject(patterns))
    missing: Answers = {**patterns, r"dpkg-query .* (chrony|lsof)$": (1, "")}
    with pytest.raises(Wrong, match="chrony is not installed; lsof is not installed"):
        contents.packages(subject(missing))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({r"^id -u livepeer": "1001\n"}, "livepeer is (1001, 2101, '/nonexistent', '/usr/sbin/nologin')"),
        ({r"^awk -F: .*shadow": "ubuntu\n"}, "ubuntu can log in with a password"),
    ],
    ids=["number", "password"],
)
def test_users_that_are_not_as_they_should_be_are_named(change: dict[str, str], said: str) -> None:
    assert "geth 2102:2102, transcoder-watch 2103:2103" in contents.users(subject(PASSWD))
    with pytest.raises(Wrong) as caught:
        contents.users(subject(PASSWD | change))
    assert said in str(caught.value)


def listing(**changes: str) -> str:
    laid = {f"/{path}": f"0:0 {file.mode:o} regular file" for path, file in render_rootfs(settings()).items()}
    laid |= {f"/usr/local/bin/{name}": "0:0 755 regular file" for name in ("geth", "livepeer", "livepeer_cli")}
    laid |= changes
    return "".join(f"{path}|{text}\n" for path, text in laid.items() if text)


def test_a_file_that_is_missing_or_that_others_can_write_is_named() -> None:
    assert "root's" in contents.files(subject({"^stat ": listing()}))
    changed = {"/etc/chrony/chrony.conf": "0:0 666 regular file", "/usr/local/bin/livepeer": ""}
    with pytest.raises(Wrong) as caught:
        contents.files(subject({"^stat ": (1, listing(**changed))}))
    assert "/etc/chrony/chrony.conf is 0:0 666 regular file, not 0:0 644" in str(caught.value)
    assert "/usr/local/bin/livepeer is not there" in str(caught.value)


def test_a_boot_that_takes_too_long_or_leaves_a_failed_unit_is_named() -> None:
    answers = {"list-units": "", "systemd-analyze": "Startup finished in 5 s\n"}
    assert running.boot(subject(answers)).startswith("8.0 s from the launch")
    with pytest.raises(Wrong, match=r"booted 301\.0 s after its launch, the budget is 300 s"):
        running.boot(subject(answers, seconds=301.0))
    with pytest.raises(Wrong, match=r"d1\.mount has failed"):
        running.boot(subject(answers | {"list-units": "d1.mount\n"}))


UNITS: Answers = {
    "systemctl is-enabled": "enabled\n",
    "systemctl is-active": (0, "active\n"),
    "systemctl is-active systemd-timesyncd": (3, "inactive\n"),
    "systemctl show": "ActiveState=inactive\n",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"systemctl show geth": "ActiveState=failed\n"}, "geth.service is enabled and failed"),
        ({"is-enabled d2.mount": (1, "disabled\n")}, "d2.mount is not enabled and inactive"),
        ({"is-active transcoder-watch": (3, "inactive\n")}, "transcoder-watch.service is not enabled and running"),
        ({"is-active chrony": (3, "inactive\n")}, "chrony.service is not enabled and running"),
        ({"is-active ssh": (3, "inactive\n")}, "no sshd is running"),
        ({"is-active systemd-timesyncd": "active\n"}, "sets the clock beside chrony"),
    ],
    ids=["failed", "disabled", "watch", "chrony", "ssh", "timesyncd"],
)
def test_units_in_another_state_are_named(change: dict[str, str | tuple[int, str]], said: str) -> None:
    assert "geth.service enabled, inactive" in running.units(subject(UNITS))
    with pytest.raises(Wrong, match=said):
        running.units(subject({**UNITS, **change}))


MOUNTS: Answers = {
    "cat /proc/mounts": "/dev/xvda / ext4 rw 0 0\n",
    "^test -d": "",
    "^stat -Lc": "0\n",
    "^stat -Lc %a": "755\n",
    "^ls ": "",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cat /proc/mounts": "/dev/xvdg /d1 ext4 rw 0 0\n"}, "something is mounted on /d1"),
        ({"^ls .*/d2": "geth-data\n"}, "/d2 holds geth-data"),
        ({"^stat -Lc %a": "777\n"}, "/d1 is not a directory of root's with 0755"),
    ],
    ids=["mounted", "not empty", "mode"],
)
def test_what_lies_where_the_volumes_go_is_named(change: dict[str, str], said: str) -> None:
    assert running.mounts(subject(MOUNTS)) == "/d1 empty, /d2 empty"
    with pytest.raises(Wrong, match=said):
        running.mounts(subject({**MOUNTS, **change}))


REFUSED: Answers = {
    "^sed -E": "",
    "daemon-reload": "",
    "systemctl start": (1, ""),
    "systemctl show": "ExecMainStatus=78\nActiveState=failed\n",
    "journalctl": "Starting\ncheck-volume: refused: nothing is mounted on /d1: type `fab attach`\n",
}


@pytest.mark.parametrize(
    "change",
    [
        {"systemctl show": "ExecMainStatus=0\nActiveState=active\n"},
        {"systemctl show": "ExecMainStatus=78\nActiveState=activating\n"},
        {"journalctl": "Starting\n"},
    ],
    ids=["it started", "it is tried again", "it says nothing"],
)
def test_a_service_that_does_not_refuse_to_start_without_its_volume_is_named(change: dict[str, str]) -> None:
    assert "geth.service: 78, check-volume: refused: nothing is mounted" in running.refusals(subject(REFUSED))
    with pytest.raises(Wrong, match=r"livepeer-transcoder\.service without a volume"):
        running.refusals(subject({**REFUSED, **change}))


LIMITS = {
    "^sed -E|^mkdir|daemon-reload|systemctl start": "",
    "systemctl show": "MainPID=77\n",
    "cat /proc/77/limits": "Max open files            50000                50000                files     \n",
}


def test_a_service_with_a_lower_limit_is_named() -> None:
    assert "geth.service: 50000, hard 50000" in running.service_limits(subject(LIMITS))
    low = {"cat /proc/77/limits": "Max open files            1024                 4096                 files     \n"}
    with pytest.raises(Wrong, match="1024 open files at most, hard 4096"):
        running.service_limits(subject(LIMITS | low))


SSHD_T = (
    "passwordauthentication no\npermitemptypasswords no\npermitrootlogin no\npubkeyauthentication yes\n"
    "challengeresponseauthentication no\n"
)


@pytest.mark.parametrize("word", ["passwordauthentication yes", "permitrootlogin yes"])
def test_an_sshd_that_lets_in_more_is_named(word: str) -> None:
    assert "permitrootlogin no" in doors.sshd(subject({"sshd -T": SSHD_T}))
    key = word.partition(" ")[0]
    said = "\n".join(word if line.startswith(key) else line for line in SSHD_T.splitlines())
    with pytest.raises(Wrong, match=word):
        doors.sshd(subject({"sshd -T": said}))


def test_the_first_of_several_words_for_sshd_counts() -> None:
    assert doors.read_sshd("# no\nPort 22\nport 23\n\nMACs a,b\n") == {"port": "22", "macs": "a,b"}


SS = "Netid State\ntcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\nudp UNCONN 0 0 127.0.0.1:323 0.0.0.0:*\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tcp LISTEN 0 128 0.0.0.0:8935 0.0.0.0:*\n", "tcp://0.0.0.0:8935 is open to the network"),
        ("udp UNCONN 0 0 10.0.0.5:323 0.0.0.0:*\n", "udp://10.0.0.5:323 is open to the network"),
    ],
    ids=["livepeer", "chrony"],
)
def test_a_port_that_is_open_to_the_network_is_named(line: str, said: str) -> None:
    unit = {"systemctl cat": "ExecStart=livepeer -httpIP 127.0.0.1 -v 4\n"}
    dhcp = "udp UNCONN 0 0 10.0.0.5:68 0.0.0.0:*\n"
    assert "control port -httpIP 127.0.0.1" in doors.sockets(subject({"--listening": SS + dhcp, **unit}))
    with pytest.raises(Wrong, match=said):
        doors.sockets(subject({"--listening": SS + line, **unit}))


def test_a_unit_that_does_not_keep_the_control_port_to_itself_is_named() -> None:
    with pytest.raises(Wrong, match=r"does not say -httpIP 127\.0\.0\.1"):
        doors.sockets(subject({"--listening": SS, "systemctl cat": "ExecStart=livepeer -httpIP 0.0.0.0\n"}))


KEYS = {
    "^stat --format='%Y %n'": "2000 /etc/ssh/ssh_host_ed25519_key\n",
    "^cat /etc/ssh": "ssh-ed25519 AAAA root@verify\n",
    "btime": "1990\n",
}


def test_a_host_key_that_was_baked_or_that_another_machine_has_is_named() -> None:
    others = {"i-1": frozenset({"ssh-ed25519 AAAA"}), "i-2": frozenset({"ssh-ed25519 BBBB"})}
    assert doors.host_keys(subject(KEYS, host_keys=others)).endswith("different from those of 1 other machines")
    with pytest.raises(Wrong, match="i-2 has the same key"):
        doors.host_keys(subject(KEYS, host_keys={"i-2": frozenset({"ssh-ed25519 AAAA"})}))
    with pytest.raises(Wrong, match="ssh_host_ed25519_key is older than this boot"):
        doors.host_keys(subject(KEYS | {"btime": "9000\n"}))


def test_a_machine_id_that_was_baked_is_named() -> None:
    fresh = {"^stat .*machine-id": f"2000\n{'ab' * 16}\n", "btime": "1990\n"}
    assert doors.machine_id(subject(fresh)) == "ab" * 16
    with pytest.raises(Wrong, match="every machine of the AMI has it"):
        doors.machine_id(subject(fresh | {"btime": "9000\n"}))
    with pytest.raises(Wrong, match="holds ''"):
        doors.machine_id(subject(fresh | {"^stat .*machine-id": "2000\n\n"}))


@pytest.mark.parametrize(
    ("tokens", "status", "passes"), [("required", "401", True), ("required", "200", False), ("optional", "200", True)]
)
def test_the_metadata_service_is_as_the_environment_wants_it(tokens: str, status: str, passes: bool) -> None:
    answers = {"http_code": status, "request PUT": "token", "aws-ec2-metadata-token: token": "i-1"}
    machine = subject(answers, aws={"imds_tokens": tokens})
    if passes:
        assert doors.metadata(machine) == f"i-1; {status} without a token"
        return
    with pytest.raises(Wrong, match="without a token it answers 200, not 401"):
        doors.metadata(machine)


CHRONY = "A9FEA97B,169.254.169.123,4,1700000000.0,0.000001,0.000001,0.00001,1.0,0.0,0.1,0.0001,0.0001,16.0,Normal\n"


def test_a_clock_that_follows_another_server_is_named() -> None:
    assert running.clock(subject({"chronyc": CHRONY})).startswith("follows 169.254.169.123, stratum 4")
    with pytest.raises(Wrong, match=r"it follows 192\.0\.2\.1"):
        running.clock(subject({"chronyc": CHRONY.replace("169.254.169.123", "192.0.2.1")}))
    lost = CHRONY.replace("Normal", "Not synchronised")
    with pytest.raises(Wrong, match="clock in sync: not so after"):
        running.clock(subject({"chronyc": lost}))


def test_an_error_in_the_journal_is_told() -> None:
    assert running.journal(subject({"journalctl": ""})) == "nothing of 9 units"
    with pytest.raises(Wrong, match="chronyd: Fatal error"):
        running.journal(subject({"journalctl": "chronyd: Fatal error\n"}))


def test_a_log_in_session_with_a_lower_limit_is_named() -> None:
    answers = {
        "ulimit -n; cat": "50000\nMax open files            50000                50000                files     \n",
        "su - root": "50000\n",
    }
    assert running.login_limit(subject(answers)) == "ubuntu 50000 (hard 50000), root 50000"
    with pytest.raises(Wrong, match="of root 1024"):
        running.login_limit(subject(answers | {"su - root": "1024\n"}))
