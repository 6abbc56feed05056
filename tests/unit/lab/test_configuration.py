from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.configuration import PROFILES, LabConfiguration, Latencies, parse
from transcoder import settings
from transcoder.errors import BadSettings


def test_the_shipped_lab_environment_is_a_lab() -> None:
    configuration = parse(settings.load("lab").extension("lab"), "lab.toml")
    assert configuration.endpoint_url == settings.load("lab").aws.endpoint_url
    assert settings.load("lab").aws.availability_zone in configuration.zones
    assert settings.load("lab").ssh.key_file == str(configuration.key_file)


def test_an_empty_table_is_a_whole_lab() -> None:
    configuration = parse({}, "x.toml")
    assert configuration.machines == "uml"
    assert configuration.state_directory == Path("/var/lib/transcoder-lab/lab")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"netwrk": "172.31.210.0/24"}, "lab.netwrk: no such key; allowed here: boot_budget_seconds"),
        ({"network": "172.31.210.0/25"}, "256 addresses"),
        ({"network": "fe80::/64"}, "lab.network: found 'fe80::/64'"),
        ({"machines": "docker"}, "'uml' or 'none'"),
        ({"name": "much-too-long-for-a-device"}, "lab.name"),
        ({"endpoint_port": 0}, "lab.endpoint_port: found 0"),
        ({"latency": "slow"}, "'slow' is not a profile; there are: ec2, fast"),
        (
            {"latencies": {"slow": {"atach": 1}}},
            "lab.latencies.slow.atach: no such key; allowed here: associate_address",
        ),
        ({"latencies": {"slow": {"attach": -1}}}, "lab.latencies.slow.attach: found -1"),
        ({"zones": ["us-east-1a", "eu-west-1a"]}, "eu-west-1a"),
        ({"stock_images": []}, "lab.stock_images"),
        ({"second_region": "us-east-1"}, "another region"),
        ({"second_region": "the west"}, "lab.second_region: found 'the west'"),
    ],
)
def test_a_wrong_key_type_or_value_is_named_with_what_is_allowed(table: dict[str, Any], says: str) -> None:
    with pytest.raises(BadSettings) as caught:
        parse(table, "environments/x.toml")
    assert "environments/x.toml" in str(caught.value)
    assert says in str(caught.value)


def test_every_wrong_key_is_named_at_once() -> None:
    with pytest.raises(BadSettings) as caught:
        parse({"a": 1, "b": 2}, "x.toml")
    assert len(caught.value.reasons) == 2


def test_a_profile_of_the_file_is_chosen_by_its_name() -> None:
    table = {"latency": "glacial", "latencies": {"glacial": {"attach": 60}}}
    assert parse(table, "x.toml").latencies == Latencies(attach=60.0)


def test_a_profile_of_the_file_wins_over_a_built_in_one() -> None:
    assert parse({"latencies": {"fast": {"detach": 9}}}, "x.toml").latencies.detach == 9


def test_ec2_is_slower_than_fast_in_everything() -> None:
    for name, seconds in PROFILES["fast"]:
        assert seconds <= getattr(PROFILES["ec2"], name), name


def test_addresses_follow_from_the_network() -> None:
    configuration = LabConfiguration(network="10.20.30.0/24")
    assert configuration.gateway == "10.20.30.1"
    assert [str(configuration.zone_network(zone)) for zone in configuration.zones] == [
        "10.20.30.0/26",
        "10.20.30.64/26",
    ]


def test_a_second_region_has_zones_and_a_part_of_the_same_network() -> None:
    configuration = parse({"network": "10.20.30.0/24", "second_region": "us-west-2"}, "x.toml")
    assert configuration.regions == ("us-east-1", "us-west-2")
    assert configuration.zones_of("us-east-1") == configuration.zones
    zones = [zone for region in configuration.regions for zone in configuration.zones_of(region)]
    assert zones[2:] == ["us-west-2a", "us-west-2b"]
    networks = [configuration.zone_network(zone) for zone in zones]
    assert [str(network) for network in networks] == [f"10.20.30.{first}/27" for first in (0, 32, 64, 96)]
    assert all(network.subnet_of(configuration.bridge_network) for network in networks)


def test_a_lab_has_one_region_unless_a_second_is_named() -> None:
    assert parse({}, "x.toml").regions == ("us-east-1",)


def test_a_configuration_survives_being_written_as_json() -> None:
    table = {"latency": "x", "latencies": {"x": {"attach": 2}}, "machines": "none"}
    configuration = parse(table, "x.toml")
    assert LabConfiguration.model_validate_json(configuration.model_dump_json(by_alias=True)) == configuration
