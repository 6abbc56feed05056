"""release.json: what image a machine is of."""

from __future__ import annotations

import json

import pytest

from transcoder.errors import Failed
from transcoder.facts.release import Release, parse_release, parse_version, shown


def text(geth: str = "1.8.27", livepeer: str = "0.2.4", **more: str) -> str:
    return json.dumps({"geth": {"version": geth}, "livepeer": {"version": livepeer}, **more})


def test_the_versions_and_the_network_are_read() -> None:
    assert parse_release(text(network="mainnet")) == Release((1, 8, 27), (0, 2, 4), "mainnet")


def test_an_image_that_does_not_say_its_network_has_none() -> None:
    assert parse_release(text(livepeer="v0.5.30")) == Release((1, 8, 27), (0, 5, 30), "")


def test_an_image_without_a_geth_says_so_by_not_naming_one() -> None:
    told = json.dumps({"livepeer": {"version": "v0.9.1"}, "network": "arbitrum-one-mainnet"})
    assert parse_release(told) == Release(None, (0, 9, 1), "arbitrum-one-mainnet")


@pytest.mark.parametrize("bad", ["", "{}", "[]", '{"geth": {}, "livepeer": {}}', text(geth="latest"), text(geth="1.8")])
def test_what_is_not_understood_is_an_error(bad: str) -> None:
    with pytest.raises(Failed, match=r"release\.json"):
        parse_release(bad)


def test_versions_are_compared_as_numbers() -> None:
    assert parse_version("1.10.4") > parse_version("1.8.27")
    assert shown(parse_version("v0.5.3")) == "0.5.3"
