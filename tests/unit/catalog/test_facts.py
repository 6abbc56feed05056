"""The facts themselves, against what the projects' own text says, and against the lab's stand-ins."""

from __future__ import annotations

import tomllib

import pytest

from lab.standins.livepeer_node import flags as standin
from lab.standins.livepeer_node.versions import PLAYED, personality
from tests.unit.catalog.choices import ARBITRUM, REFERENCE, with_geth, with_livepeer
from transcoder.catalog import geth, geth_keys, livepeer, support
from transcoder.catalog.geth_config import geth_tables
from transcoder.catalog.history import Entry, Span, Version, at, changes, numbers
from transcoder.catalog.livepeer_api import api
from transcoder.catalog.livepeer_flags import FLAGS, known
from transcoder.catalog.options import announcement, livepeer_arguments

HISTORIES = {
    name: value
    for module in (livepeer, geth, geth_keys)
    for name, value in vars(module).items()
    if isinstance(value, tuple) and value and isinstance(value[0], Entry)
}
GETH_2018 = """
[Eth]
NetworkId = 1
SyncMode = "light"
LightPeers = 100
DatabaseCache = 768
TrieCleanCache = 256
TrieDirtyCache = 256
MinerGasPrice = 1000000000
[Eth.Ethash]
CacheDir = "ethash"
[Shh]
MaxMessageSize = 1048576
[Node]
DataDir = "/d2/geth-data/.ethereum"
NoUSB = true
[Node.P2P]
MaxPeers = 25
[Dashboard]
Host = "localhost"
"""
"""Of the well-known configuration of January 2019, what tells the versions apart."""


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_runs_forward_and_each_entry_says_where_it_is_known_from(name: str) -> None:
    history = HISTORIES[name]
    assert [entry.since for entry in history] == sorted(changes(history))
    assert all(entry.source for entry in history)


def test_before_the_first_entry_nothing_is_known() -> None:
    with pytest.raises(LookupError, match=r"nothing is known of 0\.1\.0"):
        at(livepeer.PORTS, (0, 1, 0))


def test_a_span_ends_before_its_end() -> None:
    span = Span((0, 5, 0), (0, 6, 0))
    assert ((0, 5, 0) in span, (0, 5, 99) in span, (0, 6, 0) in span, (0, 4, 9) in span) == (True, True, False, False)
    assert (9, 9, 9) in Span((0, 5, 0))


def test_what_is_no_version_is_told() -> None:
    assert numbers("v0.9.1") == (0, 9, 1)
    with pytest.raises(ValueError, match="latest"):
        numbers("latest")


@pytest.mark.parametrize("version", PLAYED)
def test_a_flag_is_of_the_kind_that_the_stand_in_of_that_version_has(version: Version) -> None:
    kinds = {flag.name: {"string": "text"}.get(flag.kind, flag.kind) for flag in standin.flags(version)}
    ours = {name: "text" if flag.kind == "secret" else flag.kind for name, flag in known(version).items()}
    assert ours == {name: kinds[name] for name in ours}


@pytest.mark.parametrize("version", PLAYED)
def test_the_stand_in_behaves_as_the_version_that_it_is_by_the_catalog(version: Version) -> None:
    played, told = personality(version), api(version)
    assert (played.own_record, played.own_record_key) == (told.own_record.route, told.own_record.key)
    assert (played.chain_id, played.is_registered) == (told.chain_id, told.is_registered)
    assert played.round_in_bytes == (told.round_form == "bytes")
    assert told.base == f"http://127.0.0.1:{played.control_port}"
    assert played.password_files == (version >= livepeer.PASSWORD_FILES_SINCE)
    assert played.ipfs == (version < livepeer.IPFS_GONE)
    assert at(livepeer.LAYOUTS, version).database == "lp.sqlite3"
    assert told.empty_is_failure


def test_no_two_entries_of_a_flag_hold_for_the_same_version() -> None:
    for version in {flag.span.since for flag in FLAGS}:
        names = [flag.name for flag in FLAGS if version in flag.span]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("version", "base", "record", "form", "empty"),
    [
        ((0, 2, 4), "http://127.0.0.1:8935", ("/transcoderInfo", ""), "decimal", True),
        ((0, 4, 0), "http://127.0.0.1:7935", ("/orchestratorInfo", ""), "decimal", True),
        ((0, 5, 20), "http://127.0.0.1:7935", ("/orchestratorInfo", "Transcoder"), "bytes", True),
        ((0, 6, 0), "http://127.0.0.1:7935", ("/orchestratorInfo", "Transcoder"), "bytes", False),
        ((0, 9, 1), "http://127.0.0.1:7935", ("/orchestratorInfo", "Transcoder"), "decimal", False),
    ],
)
def test_the_api_of_a_version(version: Version, base: str, record: tuple[str, str], form: str, empty: bool) -> None:
    found = api(version)
    assert (found.base, (found.own_record.route, found.own_record.key)) == (base, record)
    assert (found.round_form, found.empty_is_failure) == (form, empty)


def test_the_role_flags_changed_their_meaning() -> None:
    assert livepeer_arguments(REFERENCE)[:1] == ("-transcoder",)
    assert livepeer_arguments(ARBITRUM)[:2] == ("-orchestrator", "-transcoder")


def test_others_are_told_where_the_node_is_with_the_flag_of_the_version() -> None:
    assert announcement(REFERENCE.livepeer) == livepeer.Announcement("-publicIP", 0)
    assert announcement(ARBITRUM.livepeer) == livepeer.Announcement("-serviceAddr", 8935)
    assert announcement(with_livepeer(ARBITRUM, service_address="n.example:8935").livepeer) is None


def test_options_come_last_and_truths_are_written_as_go_wants_them() -> None:
    choice = with_livepeer(ARBITRUM, options={"reward": "false", "maxSessions": "10"})
    assert livepeer_arguments(choice)[-3:] == ("-maxSessions", "10", "-reward=false")


def test_private_options_take_the_place_of_the_address() -> None:
    words = livepeer_arguments(with_livepeer(ARBITRUM, eth_url="", private_options=True))
    assert "-ethUrl" not in words
    assert words[words.index("-config") + 1] == "/d1/livepeer/private.conf"


def test_releases_are_found_under_their_names() -> None:
    base = "https://github.com/livepeer/go-livepeer/releases/download"
    assert livepeer.download((0, 2, 4)) == f"{base}/0.2.4/livepeer_linux.tar.gz"
    assert livepeer.download((0, 9, 1), gpu=True) == f"{base}/v0.9.1/livepeer-linux-gpu-amd64.tar.gz"
    assert livepeer.checksums((0, 6, 0)) == f"{base}/v0.6.0/v0.6.0_checksums.txt"
    assert (livepeer.download((0, 4, 0)), livepeer.checksums((0, 2, 4)), geth.download((1, 9, 7))) == ("", "", "")
    assert geth.download((1, 8, 27)).endswith("/geth-linux-amd64-1.8.27-4bcc0a37.tar.gz")


@pytest.mark.parametrize(
    ("version", "unknown"),
    [
        ((1, 8, 18), {"Eth.TrieCleanCache", "Eth.TrieDirtyCache"}),
        ((1, 8, 27), set()),
        ((1, 9, 0), {"Eth.MinerGasPrice"}),
        ((1, 9, 8), {"Eth.MinerGasPrice", "Dashboard.Host"}),
        ((1, 10, 0), {"Eth.MinerGasPrice", "Dashboard.Host", "Shh.MaxMessageSize"}),
        ((1, 12, 0), {"Eth.MinerGasPrice", "Dashboard.Host", "Shh.MaxMessageSize", "Eth.Ethash.CacheDir"}),
    ],
)
def test_the_configuration_of_2018_loads_in_its_own_versions_only(version: Version, unknown: set[str]) -> None:
    keys = geth_keys.known(version)
    tables = flattened(tomllib.loads(GETH_2018))
    assert {f"{t}.{k}" for t, found in tables.items() for k in found if k not in keys[t]} == unknown


def flattened(document: dict[str, object], prefix: str = "") -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            found |= flattened(value, f"{prefix}{name}.")
        else:
            found.setdefault(prefix.rstrip("."), set()).add(name)
    return found


def test_a_later_geth_gets_the_port_of_a_consensus_client_and_no_usb() -> None:
    node = geth_tables(with_geth(ARBITRUM, version=(1, 17, 5)), 25)["Node"]
    assert (node["AuthAddr"], node["AuthPort"]) == ("127.0.0.1", 8551)
    assert "NoUSB" not in node


def test_an_old_geth_gets_its_one_trie_cache() -> None:
    eth = geth_tables(with_geth(REFERENCE, version=(1, 8, 18)), 25)["Eth"]
    assert (eth["DatabaseCache"], eth["TrieCache"]) == (256, 256)


@pytest.mark.parametrize(
    ("version", "mode", "words"),
    [
        ((1, 8, 27), "light", ()),
        ((1, 9, 25), "full", ("--cache", "512")),
        ((1, 13, 5), "light", ("--cache", "512", "--discovery.v5")),
        ((1, 17, 2), "snap", ()),
    ],
)
def test_geth_needs_flags_where_it_does_not_listen_to_its_file(
    version: Version, mode: str, words: tuple[str, ...]
) -> None:
    assert geth.arguments(version, sync_mode=mode, cache_mib=512, network="mainnet") == words


def test_all_but_a_light_geth_have_ten_minutes_to_stop() -> None:
    assert [geth.stop_budget_seconds(mode) for mode in ("light", "fast", "full", "snap")] == [180, 600, 600, 600]


def test_the_tables_cover_every_version_without_a_gap() -> None:
    for rows in (support.livepeer_ranges(), support.geth_ranges()):
        ends = [row.versions.partition(" until before ")[2] for row in rows]
        begins = [row.versions.split()[0] for row in rows]
        assert ends[:-1] == begins[1:]
        assert ends[-1] == ""


def test_the_tables_name_what_an_operator_asks_for() -> None:
    newest = support.livepeer_ranges()[-1]
    assert "ubuntu-18.04" not in newest.systems
    assert "arbitrum-one-mainnet" in newest.networks
    assert newest.control == "127.0.0.1:7935"
    assert {flag["name"] for flag in support.describe()["livepeer_flags"]} == {flag.name for flag in FLAGS}
