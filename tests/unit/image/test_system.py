"""The system that is baked: files that Ubuntu 18.04's programs understand, and that leave the services alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from packer.programs import choice_of, control_ports
from packer.recipe import package_names
from packer.rootfs import FILES, render_rootfs
from packer.tarball import File
from tests.unit.image.rendered import DATA, parse_unit, rendered, text_of
from tests.unit.packer.samples import arbitrum_settings, fetching_settings, settings_in
from transcoder.settings import load, names

SSHD = "etc/ssh/sshd_config.d/10-transcoder.conf"
JOURNALD = "etc/systemd/journald.conf.d/50-transcoder.conf"
UPGRADES = "etc/apt/apt.conf.d/52-transcoder-upgrades"
FIREWALL = "etc/transcoder/firewall.rules"
NEEDRESTART = "etc/needrestart/conf.d/50-transcoder.conf"
ALGORITHMS = {"KexAlgorithms": "kex", "Ciphers": "cipher", "MACs": "mac", "HostKeyAlgorithms": "key"}


def known_words(kind: str) -> set[str]:
    """Return what OpenSSH 7.6 knows of a kind."""
    lines = (DATA / "openssh-7.6-words.txt").read_text().splitlines()
    return {word for line in lines for own, word in [line.split()] if own == kind}


def sshd_settings() -> dict[str, str]:
    lines = [line for line in (FILES / SSHD).read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}


def test_openssh_7_6_knows_every_word_of_sshd(tmp_path: Path) -> None:
    assert {name.lower() for name in sshd_settings()} <= known_words("keyword")


@pytest.mark.parametrize("name", ALGORITHMS)
def test_openssh_7_6_knows_every_algorithm(name: str) -> None:
    # `ssh -Q key` lists keys; these two are signatures with the key ssh-rsa, known since 7.2.
    known = known_words(ALGORITHMS[name]) | {"rsa-sha2-256", "rsa-sha2-512"}

    assert set(sshd_settings()[name].split(",")) <= known


def test_a_newer_algorithm_would_be_caught() -> None:
    assert "sntrup761x25519-sha512@openssh.com" not in known_words("kex")
    assert "curve25519-sha256" in known_words("kex")


def test_sshd_takes_keys_only_no_root_and_nothing_weak() -> None:
    found = sshd_settings()

    assert found["AuthenticationMethods"] == "publickey"
    assert {found[name] for name in ("PermitRootLogin", "PasswordAuthentication", "KbdInteractiveAuthentication")} == {
        "no"
    }
    weak = re.compile(r"sha1|md5|cbc|arcfour|3des|group1-|group14-|nistp(384|521)|ssh-rsa|ssh-dss")
    assert [name for name in ALGORITHMS if weak.search(found[name])] == []


def test_rsa_keys_of_operators_are_not_locked_out_of_an_old_sshd() -> None:
    assert not {"PubkeyAcceptedKeyTypes", "PubkeyAcceptedAlgorithms"} & set(sshd_settings())


def test_sshd_reads_our_file_before_cloud_inits() -> None:
    assert Path(SSHD).name < "50-cloud-init.conf"


@pytest.mark.parametrize("name", names())
def test_journald_237_knows_every_option(name: str) -> None:
    known = set((DATA / "journald-237-options.txt").read_text().split())
    found = parse_unit(text_of(render_rootfs(load(name)), JOURNALD))

    assert {f"{section}.{option}" for section, option, _ in found} <= known
    assert {"SystemMaxUse", "SystemKeepFree"} <= {option for _, option, _ in found}


@pytest.mark.parametrize("name", names())
def test_systemd_237_knows_every_directive_of_the_drop_ins(name: str) -> None:
    known = set((DATA / "systemd-237-directives.txt").read_text().split())
    files = render_rootfs(load(name))
    drop_ins = [path for path in files if re.search(r"systemd/system/.+\.d/.+\.conf$", path)]

    assert drop_ins
    for path in drop_ins:
        found = {f"{section}.{option}" for section, option, _ in parse_unit(text_of(files, path))}
        assert found <= known, path


def test_the_services_lines_are_kept_in_the_journal_alone(tmp_path: Path) -> None:
    text = text_of(rendered(tmp_path), "etc/rsyslog.d/20-transcoder.conf")

    for unit in ("geth.service", "livepeer-transcoder.service"):
        service = parse_unit(text_of(rendered(tmp_path), f"etc/systemd/system/{unit}"))
        name = next(value for _, option, value in service if option == "SyslogIdentifier")
        assert f':programname, isequal, "{name}" stop' in text


def test_only_security_upgrades_come_by_themselves_and_nothing_reboots(tmp_path: Path) -> None:
    text = text_of(rendered(tmp_path), UPGRADES)
    origins = re.findall(r'^    "([^"]*)";', text, flags=re.MULTILINE)
    kept = {"nvidia-", "libnvidia-", "cuda-"}

    assert [origin for origin in origins if "security" not in origin.lower() and origin not in kept] == []
    assert 'Automatic-Reboot "false"' in text
    # What the vendor's file lists is forgotten first: lists of apt grow from file to file.
    for name in ("Allowed-Origins", "Origins-Pattern"):
        assert text.index(f"#clear Unattended-Upgrade::{name};") < text.index(f"Unattended-Upgrade::{name} {{")
    assert Path(UPGRADES).name > "50unattended-upgrades"


def test_an_upgrade_never_restarts_the_services(tmp_path: Path) -> None:
    text = text_of(rendered(tmp_path), NEEDRESTART)

    for unit in ("geth", "livepeer-transcoder"):
        assert f"{{override_rc}}->{{qr(^{unit}\\.service$)}} = 0;" in text


def test_nodes_do_not_upgrade_at_the_same_hour(tmp_path: Path) -> None:
    text = text_of(rendered(tmp_path), "etc/systemd/system/apt-daily-upgrade.timer.d/50-transcoder.conf")

    assert "RandomizedDelaySec=12h" in text


def ports_kept(files: Mapping[str, File]) -> str:
    found = re.search(r"! -i lo -p tcp -m multiport --dports ([0-9,]+) -j DROP", files[FIREWALL].content.decode())
    assert found
    return found[1]


def test_the_control_ports_are_kept_to_the_machine_those_for_others_are_not(tmp_path: Path) -> None:
    assert ports_kept(rendered(tmp_path)) == "8935,8545,8546,8551"
    assert ports_kept(render_rootfs(arbitrum_settings(tmp_path))) == "7935"


@pytest.mark.parametrize("name", names())
def test_no_port_that_the_security_group_opens_is_closed_by_the_firewall(name: str) -> None:
    settings = load(name)
    open_ports = {rule.port for rule in settings.aws.ingress if rule.protocol == "tcp"}

    assert not open_ports & set(control_ports(choice_of(settings)))


def test_geth_gets_no_credentials_of_the_machine_and_livepeer_can_ask_for_its_address(tmp_path: Path) -> None:
    text = text_of(rendered(tmp_path), FIREWALL)

    assert "-4 -A TRANSCODER-OUTPUT -m owner --uid-owner 2102 -d 169.254.169.254/32 -j DROP" in text
    assert "2101" not in text
    assert "uid-owner" not in text_of(render_rootfs(arbitrum_settings(tmp_path)), FIREWALL)


def test_where_a_passphrase_is_fetched_only_root_livepeer_and_the_watch_get_credentials(tmp_path: Path) -> None:
    text = text_of(render_rootfs(fetching_settings(tmp_path)), FIREWALL)

    rules = [line.split(" -m owner --uid-owner ")[1] for line in text.splitlines() if line.startswith("-4")]
    address = "-d 169.254.169.254/32"
    assert rules == [f"2101 {address} -j RETURN", f"2103 {address} -j RETURN", f"1-4294967294 {address} -j DROP"]


def test_rules_of_others_stay(tmp_path: Path) -> None:
    text = text_of(rendered(tmp_path), FIREWALL)

    assert "policy" not in text
    assert re.findall(r"^:(\S+) (\S+)", text, flags=re.MULTILINE) == [
        ("TRANSCODER-INPUT", "-"),
        ("TRANSCODER-OUTPUT", "-"),
    ]


def test_the_node_starts_whether_the_firewall_does_or_not(tmp_path: Path) -> None:
    files = rendered(tmp_path)
    wanted = [
        (unit, option)
        for unit in ("geth.service", "livepeer-transcoder.service", "d1.mount", "d2.mount")
        for _, option, value in parse_unit(text_of(files, f"etc/systemd/system/{unit}"))
        if "firewall" in value
    ]
    assert wanted == []


def test_a_key_in_memory_reaches_no_disk(tmp_path: Path) -> None:
    files = rendered(tmp_path)
    kernel = text_of(files, "etc/sysctl.d/60-transcoder.conf")

    assert "kernel.core_pattern = |/bin/false" in kernel
    assert "fs.suid_dumpable = 0" in kernel
    for unit in ("geth", "livepeer-transcoder"):
        assert ("Service", "LimitCORE", "0") in parse_unit(text_of(files, f"etc/systemd/system/{unit}.service"))


def test_system_calls_are_denied_by_groups_that_systemd_237_has(tmp_path: Path) -> None:
    known = (
        "default aio basic-io chown clock cpu-emulation debug file-system io-event ipc keyring memlock module mount "
        "network-io obsolete privileged process raw-io reboot resources setuid signal swap sync timer"
    )
    for unit in ("geth", "livepeer-transcoder"):
        found = parse_unit(text_of(rendered(tmp_path), f"etc/systemd/system/{unit}.service"))
        groups = next(value for _, option, value in found if option == "SystemCallFilter")
        # Without ~ it would be a list of what may be called, of which 237 leaves out the groups that it does not know.
        assert groups.startswith("~@")
        assert {group.lstrip("~@") for group in groups.split()} <= set(known.split())
        # geth raises its own limit of open files.
        assert "@resources" not in groups


def test_livepeer_may_make_code_as_it_goes_and_geth_may_not(tmp_path: Path) -> None:
    files = rendered(tmp_path)
    found = {
        unit: [value for _, option, value in parse_unit(text_of(files, unit)) if option == "MemoryDenyWriteExecute"]
        for unit in ("etc/systemd/system/geth.service", "etc/systemd/system/livepeer-transcoder.service")
    }
    assert list(found.values()) == [["yes"], []]


def test_what_the_image_relies_on_is_installed_where_the_stock_image_lacks_it(tmp_path: Path) -> None:
    assert {"chrony", "iptables", "logrotate", "unattended-upgrades"} <= set(package_names(settings_in(tmp_path)))
