"""livepeer's answers, as 0.2.4 and as later versions give them."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading

import pytest

from tests.unit.facts.recorded import recorded
from transcoder.catalog.livepeer_api import api
from transcoder.errors import Failed
from transcoder.facts.livepeer_api import (
    NUMBER_IN_BYTES,
    address_command,
    parse_eth_addr,
    parse_round,
    parse_status,
    round_commands,
)

OLD, BYTES, NEW = api((0, 2, 4)), api((0, 6, 0)), api((0, 9, 1))


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


def test_the_command_asks_on_loopback_at_the_port_of_the_version() -> None:
    assert address_command(OLD)[-1] == "http://127.0.0.1:8935/ethAddr"
    assert address_command(NEW)[-1] == "http://127.0.0.1:7935/ethAddr"


def test_each_version_is_asked_for_its_record_where_it_has_it() -> None:
    assert [command[-1].rpartition("/")[2] for command in round_commands(OLD)][1:] == [
        "roundInitialized",
        "transcoderInfo",
    ]
    assert round_commands(NEW)[2][-1] == "http://127.0.0.1:7935/orchestratorInfo"


def test_a_round_in_bytes_is_read_as_a_number_on_the_machine() -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write((3345).to_bytes(2, "big"))

        def log_message(self, *_: object) -> None:
            """Nothing to be said in a test."""

    assert round_commands(BYTES)[0][:3] == ("python3", "-c", NUMBER_IN_BYTES)
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/currentRound"
        said = subprocess.run([sys.executable, "-c", NUMBER_IN_BYTES, url], capture_output=True, text=True, check=True)
    assert said.stdout == "3345\n"


def test_a_later_record_is_below_a_key() -> None:
    assert parse_round(NEW, "1208", "true", f'{{"Transcoder": {INFO}, "PriceInfo": "3/2"}}').reward_pending
    with pytest.raises(Failed, match="no object 'Transcoder'"):
        parse_round(NEW, "1208", "true", INFO)


INFO = '{"Address": "0x1", "LastRewardRound": 1207, "Active": true, "DelegatedStake": 123456789012345678901234}'


def test_the_reward_of_a_round_is_pending_until_it_is_called() -> None:
    assert parse_round(OLD, "1208\n", "true", INFO).reward_pending
    assert not parse_round(OLD, "1207", "true", INFO).reward_pending


@pytest.mark.parametrize(("initialized", "info"), [("false", INFO), ("true", INFO.replace("true", "false"))])
def test_a_round_without_a_reward_to_come_is_not_pending(initialized: str, info: str) -> None:
    assert not parse_round(OLD, "1208", initialized, info).reward_pending


@pytest.mark.parametrize(
    "bodies", [("", "true", INFO), ("1208", "", INFO), ("1208", "true", ""), ("x", "true", INFO), ("1", "yes", INFO)]
)
def test_a_round_that_cannot_be_told_is_an_error(bodies: tuple[str, str, str]) -> None:
    with pytest.raises(Failed, match="livepeer API"):
        parse_round(OLD, *bodies)
