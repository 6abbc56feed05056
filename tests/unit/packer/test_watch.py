"""/etc/transcoder/watch.json: what the environment says, put to the catalog of the versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packer.rootfs import render_rootfs
from tests.unit.packer.samples import arbitrum_settings, settings_in
from transcoder.checks import CHECKS
from transcoder.errors import BadSettings
from transcoder.settings import ROOT, Settings, load, names
from transcoder.settings_watch import Watch


def baked(settings: Settings) -> dict[str, Any]:
    """Return the configuration as it is in the image."""
    found = json.loads(render_rootfs(settings)["etc/transcoder/watch.json"].content)
    assert isinstance(found, dict)
    return found


def with_watch(directory: Path, text: str) -> Settings:
    settings_in(directory)
    path = directory / "world.toml"
    path.write_text(path.read_text() + f"\n[watch]\n{text}\n")
    return load(str(path))


@pytest.mark.parametrize("name", names())
def test_every_environment_has_a_watch_with_every_check(name: str) -> None:
    found = baked(load(name))

    assert set(found["checks"]) == {check.name for check in CHECKS}
    assert found["listen"] == {"address": "127.0.0.1", "port": 9847}
    assert found["identity"]["environment"] == name


def test_a_node_of_2018_asks_its_own_geth_and_the_api_of_its_version(tmp_path: Path) -> None:
    found = baked(settings_in(tmp_path))

    assert found["rpc"] == found["geth"]["url"] == "http://127.0.0.1:8545"
    assert (found["livepeer"]["base"], found["livepeer"]["work_port"]) == ("http://127.0.0.1:8935", 15000)
    assert found["livepeer"]["tickets"] == ""
    assert found["protocol"]["active_by_round"] is True
    assert found["units"]["geth"] == "geth.service"


def test_a_node_of_today_asks_its_hosted_endpoint_and_has_no_checks_of_geth(tmp_path: Path) -> None:
    found = baked(arbitrum_settings(tmp_path))

    assert (found["rpc"], found["geth"]) == ("https://rpc.example/arb", None)
    assert (found["livepeer"]["base"], found["livepeer"]["work_port"]) == ("http://127.0.0.1:7935", 8935)
    assert found["livepeer"]["tickets"] == "/d1/livepeer/.lpData/lpdb.sqlite3"
    assert set(found["volumes"]) == {"livepeer"}
    assert set(found["units"]) == {"livepeer", "chrony"}


def test_an_endpoint_among_the_private_options_is_not_known_to_the_watch(tmp_path: Path) -> None:
    settings = arbitrum_settings(tmp_path, livepeer="private_options = true", eth_url="")

    assert baked(settings)["rpc"] == ""


def test_the_watch_can_have_an_endpoint_of_its_own(tmp_path: Path) -> None:
    settings = with_watch(tmp_path, 'rpc_url = "https://rpc.example/watch"')

    assert baked(settings)["rpc"] == "https://rpc.example/watch"


def test_thresholds_of_the_environment_reach_the_node(tmp_path: Path) -> None:
    settings = with_watch(tmp_path, 'reward_warn_share = 0.1\nmin_peers = 7\nafter_seconds = { "geth-peers" = 900 }')
    found = baked(settings)

    assert (found["thresholds"]["reward_warn_share"], found["thresholds"]["min_peers"]) == (0.1, 7)
    assert (found["checks"]["geth-peers"]["warn"], found["checks"]["geth-peers"]["alarm"]) == (900, 900)


@pytest.mark.parametrize(("mode", "peers"), [("light", 1), ("fast", 3), ("full", 3)])
def test_a_full_node_wants_more_peers_than_a_light_client(tmp_path: Path, mode: str, peers: int) -> None:
    assert baked(settings_in(tmp_path, geth=f'sync_mode = "{mode}"'))["thresholds"]["min_peers"] == peers


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("reward_warn_share = 0.9", "reward_alarm_share = 0.5 comes before reward_warn_share = 0.9"),
        ("space_alarm_percent = 50", "alarm must be the lower one"),
        ('after_seconds = { "geth" = 1 }', "no such check: geth"),
        ('after_seconds = { "unit" = -1 }', "0 or more"),
        ('address = "everywhere"', "does not appear to be"),
        ('rpc_url = "ws://x"', "not an http(s) address"),
        ("reward_share = 1", "no such key"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_baked(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadSettings) as caught:
        with_watch(tmp_path, text)

    assert told in " ".join(caught.value.reasons)


def test_every_key_of_the_watch_is_in_the_docs_with_its_default() -> None:
    text = (ROOT / "docs/environment.md").read_text().partition("## Watch")[2]

    assert [name for name in Watch.model_fields if f"`{name}`" not in text] == []
    assert "| `reward_warn_share`, `reward_alarm_share` | 0.25, 0.5 |" in text


def test_a_node_off_the_chain_has_no_checks_of_it(tmp_path: Path) -> None:
    found = baked(settings_in(tmp_path, livepeer='network = "offchain"'))

    assert (found["livepeer"]["on_chain"], found["rpc"], found["protocol"]) == (False, "", None)
