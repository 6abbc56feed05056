"""The configuration files that are baked: known to the programs of Ubuntu 18.04."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from packer.rootfs import render_rootfs
from tests.unit.image.rendered import DATA, rendered, text_of
from tests.unit.packer.samples import settings_in
from transcoder.catalog import geth_keys
from transcoder.catalog.history import numbers
from transcoder.settings import Settings, load, names


def unknown_chrony_directives(text: str) -> list[str]:
    """Return the directives that keep chronyd 3.2 from starting."""
    known = set((DATA / "chrony-3.2-directives.txt").read_text().split())
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith(("#", "!", ";", "%"))]
    return [words[0] for words in lines if words[0] not in known]


def test_chrony_3_2_knows_every_directive(tmp_path: Path) -> None:
    assert unknown_chrony_directives(text_of(rendered(tmp_path), "etc/chrony/chrony.conf")) == []


def test_a_newer_chrony_directive_would_be_caught(tmp_path: Path) -> None:
    text = text_of(rendered(tmp_path), "etc/chrony/chrony.conf") + "sourcedir /etc/chrony/sources.d\n"

    assert unknown_chrony_directives(text) == ["sourcedir"]


def test_the_clock_follows_the_time_service_of_aws_alone(tmp_path: Path) -> None:
    lines = text_of(rendered(tmp_path), "etc/chrony/chrony.conf").splitlines()

    sources = [line for line in lines if line.split()[:1] and line.split()[0] in ("server", "pool", "peer")]
    assert sources == ["server 169.254.169.123 prefer iburst minpoll 2 maxpoll 4"]


def test_geth_listens_on_loopback_only_and_keeps_its_data_on_its_volume(tmp_path: Path) -> None:
    found = tomllib.loads(text_of(rendered(tmp_path), "etc/geth/geth.toml"))

    node = found["Node"]
    assert (node["HTTPHost"], node["HTTPPort"], node["WSHost"], node["WSPort"]) == (
        *("127.0.0.1", 8545),
        *("127.0.0.1", 8546),
    )
    assert node["DataDir"].startswith("/d2/")
    assert node["WSOrigins"] == ["*"]


@pytest.mark.parametrize(
    ("version", "mode"),
    [("1.8.13", "light"), ("1.8.27", "full"), ("1.9.25", "fast"), ("1.13.5", "light"), ("1.17.5", "snap")],
)
def test_geth_knows_every_key_of_its_file(version: str, mode: str, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, geth=f'sync_mode = "{mode}"')
    other = settings.model_copy(update={"geth": settings.geth.model_copy(update={"version": version})})

    assert unknown_geth_keys(other) == []


@pytest.mark.parametrize("name", [name for name in names() if load(name).geth.enabled])
def test_the_geth_that_an_environment_pins_knows_every_key_of_its_file(name: str) -> None:
    assert unknown_geth_keys(load(name)) == []


def test_a_key_of_another_geth_would_be_caught() -> None:
    # 1.8.18 has one cache for tries; the file of 1.8.27 says how two of them are sized.
    assert unknown_geth_keys(load("bionic-2018"), "1.8.18") == ["Eth.TrieCleanCache", "Eth.TrieDirtyCache"]


def unknown_geth_keys(settings: Settings, version: str = "") -> list[str]:
    """Return the keys of an environment's geth.toml that its geth, or one of another version, would die of."""
    document = tomllib.loads(text_of(render_rootfs(settings), "etc/geth/geth.toml"))
    known = geth_keys.known(numbers(version or settings.geth.version))
    tables = {"Eth": document["Eth"], "Node": document["Node"], "Node.P2P": document["Node"].pop("P2P")}
    return sorted(f"{table}.{key}" for table, values in tables.items() for key in set(values) - known[table])


def test_a_light_geth_looks_for_light_servers(tmp_path: Path) -> None:
    light = tomllib.loads(text_of(rendered(tmp_path), "etc/geth/geth.toml"))["Node"]["P2P"]
    full = tomllib.loads(text_of(rendered(tmp_path, geth='sync_mode = "full"'), "etc/geth/geth.toml"))["Node"]["P2P"]

    assert (light["NoDiscovery"], light["DiscoveryV5"]) == (True, True)
    assert "NoDiscovery" not in full


def test_the_cache_of_the_settings_is_what_the_three_caches_of_geth_make_up(tmp_path: Path) -> None:
    eth = tomllib.loads(text_of(rendered(tmp_path, geth="cache_mib = 1024"), "etc/geth/geth.toml"))["Eth"]

    assert eth["DatabaseCache"] + eth["TrieCleanCache"] + eth["TrieDirtyCache"] == 1024


def test_log_in_sessions_of_root_and_the_ssh_user_may_open_50000_files(tmp_path: Path) -> None:
    lines = text_of(rendered(tmp_path), "etc/security/limits.d/90-transcoder.conf").splitlines()

    limits = {tuple(line.split()) for line in lines if not line.startswith("#")}
    files = {(user, kind, "nofile", "50000") for user in ("root", "ubuntu") for kind in ("soft", "hard")}
    assert limits == files | {("*", "hard", "core", "0"), ("root", "hard", "core", "0")}


def test_nothing_touches_pam(tmp_path: Path) -> None:
    assert [path for path in rendered(tmp_path) if "pam" in path] == []
