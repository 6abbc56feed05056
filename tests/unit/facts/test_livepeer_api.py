"""livepeer 0.2.4's answers."""

from __future__ import annotations

import pytest

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts.livepeer_api import ETH_ADDR, command, parse_eth_addr, parse_status


def test_the_status_tells_node_id_and_streams() -> None:
    status = parse_status(recorded("livepeer_api", "status-0.2.4.json"))
    assert status.node_id.startswith("1220")
    assert status.manifests == ()
    assert parse_status(recorded("livepeer_api", "status-streaming-0.2.4.json")).manifests == ("m1", "m2")


def test_no_manifests_yet_is_null_in_go() -> None:
    assert parse_status('{"NodeID":"1220ab","Manifests":null}').manifests == ()


def test_the_account_is_written_in_one_form() -> None:
    assert parse_eth_addr(recorded("livepeer_api", "ethAddr-0.2.4.txt")) == "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"


def test_an_empty_body_is_a_failure_though_http_says_200() -> None:
    empty = recorded("livepeer_api", "empty-0.2.4.txt")
    with pytest.raises(Failed, match="/status answered with an empty body"):
        parse_status(empty)
    with pytest.raises(Failed, match="/ethAddr answered with an empty body"):
        parse_eth_addr(empty)


def test_the_zero_address_is_no_account() -> None:
    with pytest.raises(Failed, match="runs without an account"):
        parse_eth_addr("0x" + "0" * 40)


@pytest.mark.parametrize("body", ["0x12", "missing ETH client", "0x" + "g" * 40])
def test_what_is_no_address_is_an_error(body: str) -> None:
    with pytest.raises(Failed, match="livepeer API, /ethAddr: expected an Ethereum address"):
        parse_eth_addr(body)


@pytest.mark.parametrize("body", ["{}", "[]", "404 page not found", '{"Manifests": []}'])
def test_what_is_no_status_is_an_error(body: str) -> None:
    with pytest.raises(Failed, match="livepeer API"):
        parse_status(body)


def test_the_command_asks_on_loopback() -> None:
    assert command(ETH_ADDR)[-1] == "http://127.0.0.1:8935/ethAddr"
