"""geth's answers, and the rule by which a node counts as in sync."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts.geth_rpc import BODY, ChainState, command, has_advanced, in_sync, loaded_head, parse_geth_rpc

NOW = 1_700_000_000.0
EARLIER = ChainState(peers=1, head=100, head_timestamp=int(NOW) - 30, syncing=False, chain_id=1)
LATER = replace(EARLIER, head=101, head_timestamp=int(NOW) - 15)


def test_a_light_client_that_follows_is_read() -> None:
    assert parse_geth_rpc(recorded("geth_rpc", "light-following-1.8.27.json")) == ChainState(
        peers=1, head=6, head_timestamp=0x6B0278C9, syncing=False, chain_id=1337
    )


def test_a_fresh_node_says_that_it_does_not_sync_and_stands_at_genesis() -> None:
    assert parse_geth_rpc(recorded("geth_rpc", "fresh-1.8.27.json")) == ChainState(0, 0, 0, False, 1337)


def test_an_object_means_syncing() -> None:
    assert parse_geth_rpc(recorded("geth_rpc", "syncing-1.8.27.json")).syncing


def test_an_error_in_the_batch_names_the_method_and_geths_words() -> None:
    with pytest.raises(Failed, match=r"eth_getBlockByNumber failed.*no suitable peers available"):
        parse_geth_rpc(recorded("geth_rpc", "no-peers-error-1.8.27.json"))


@given(st.permutations(range(4)))
def test_answers_may_come_in_any_order(order: list[int]) -> None:
    answers = json.loads(recorded("geth_rpc", "light-following-1.8.27.json"))
    assert parse_geth_rpc(json.dumps([answers[number] for number in order])).head == 6


@given(st.integers(0, 3))
def test_a_missing_answer_is_an_error(lost: int) -> None:
    answers = json.loads(recorded("geth_rpc", "light-following-1.8.27.json"))
    del answers[lost]
    with pytest.raises(Failed, match="no answer to"):
        parse_geth_rpc(json.dumps(answers))


@pytest.mark.parametrize("text", ["", "404 page not found", "{}", "[1]", "[]"])
def test_what_is_no_batch_is_an_error(text: str) -> None:
    with pytest.raises(Failed, match=r"^geth JSON-RPC: "):
        parse_geth_rpc(text)


def test_no_block_and_odd_values_are_errors() -> None:
    for number, result in ((1, None), (0, 1), (0, "1"), (2, None), (2, True), (3, "0x")):
        answers = json.loads(recorded("geth_rpc", "light-following-1.8.27.json"))
        answers[number]["result"] = result
        with pytest.raises(Failed):
            parse_geth_rpc(json.dumps(answers))


def test_the_request_is_one_batch_with_an_id_for_each_method() -> None:
    batch = json.loads(BODY)
    assert [call["id"] for call in batch] == [0, 1, 2, 3]
    assert batch[1]["params"] == ["latest", False]
    assert "Content-Type: application/json" in command()


def test_peers_a_young_head_and_an_advance_mean_in_sync() -> None:
    assert in_sync(EARLIER, LATER, NOW, 300) == (True, "block 101, 15 s old, 1 peers")


@pytest.mark.parametrize(
    ("previous", "current", "reason"),
    [
        (EARLIER, replace(LATER, peers=0), "0 peers"),
        (EARLIER, replace(LATER, head=0, head_timestamp=0), "genesis"),
        (EARLIER, replace(LATER, head_timestamp=int(NOW) - 301), "301 s old"),
        (None, LATER, "seen once"),
        (EARLIER, replace(LATER, head=100), "has not advanced from 100"),
        (EARLIER, replace(LATER, head=99), "has not advanced from 100"),
        (EARLIER, replace(LATER, chain_id=4), "chain 4 now, 1 before"),
    ],
)
def test_each_lack_is_a_reason_not_to_be_in_sync(previous: ChainState | None, current: ChainState, reason: str) -> None:
    answer, text = in_sync(previous, current, NOW, 300)
    assert not answer
    assert reason in text


def test_eth_syncing_decides_nothing() -> None:
    assert in_sync(EARLIER, replace(LATER, syncing=True), NOW, 300)[0]
    assert not in_sync(EARLIER, replace(LATER, peers=0, syncing=False), NOW, 300)[0]


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 600))
def test_in_sync_needs_peers_and_advance_and_a_young_head(peers: int, before: int, head: int, age: int) -> None:
    now = ChainState(peers, head, int(NOW) - age, False, 1)
    answer, _ = in_sync(replace(now, head=before), now, NOW, 300)
    assert answer == (peers > 0 and head > before and age <= 300)


STARTED = """INFO [11-22|17:00:00.001] Maximum peer count                       ETH=0 LES=25 total=25
INFO [11-22|17:00:00.101] Loaded most recent local header          number=4,719,567 hash=f4a5b6 td=1 age=2s
INFO [11-22|17:00:00.102] Loaded most recent local full block      number=4719000 hash=f4a5b6 td=1
"""


def test_geth_itself_says_where_it_went_on_from() -> None:
    assert loaded_head(STARTED) == 4719567
    later = STARTED.replace("4,719,567", "4,719,600").replace("4719000", "4719001")
    assert loaded_head(STARTED + "INFO Imported new block headers count=1\n" + later) == 4719600
    assert loaded_head("INFO Imported new block headers count=1\n") is None


def test_a_head_beyond_that_with_which_it_started_has_advanced() -> None:
    now = ChainState(peers=3, head=101, head_timestamp=1000, syncing=False, chain_id=1)
    assert in_sync(has_advanced(100, now), now, 1010.0, 30.0)[0]
    assert not in_sync(has_advanced(101, now), now, 1010.0, 30.0)[0]
