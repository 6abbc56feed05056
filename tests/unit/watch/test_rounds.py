"""The reward watch: by the share of the round that has gone, with the chain's own events as the proof."""

from __future__ import annotations

import pytest
from watch import livepeer, rounds
from watch.model import NoAnswer, Reading

from tests.unit.watch.conftest import Rig
from tests.unit.watch.machine import ADDRESS, ALARM, NOW, OK, WARN, word
from transcoder.catalog.protocol import EVENTS

REWARD = "0x" + EVENTS["Reward(address,uint256)"]
SLASHED = "0x" + EVENTS["TranscoderSlashed(address,address,uint256,uint256)"]
NEW_ROUND = "0x" + EVENTS["NewRound(uint256,bytes32)"]
GONE = {"TranscoderDeactivated(address,uint256)", "TranscoderEvicted(address)", "TranscoderResigned(address)"}


def at(rig: Rig, share: float) -> dict[str, Reading]:
    """Look when this share of the round has gone."""
    contracts = rig.contracts
    contracts.block = contracts.start + int(contracts.length * share)
    contracts.head = contracts.block
    return rig.machine.look(rounds.look)


@pytest.mark.parametrize(
    ("share", "level"), [(0.0, OK), (0.24, OK), (0.25, WARN), (0.49, WARN), (0.5, ALARM), (1, ALARM)]
)
def test_a_round_without_reward_warns_and_then_alarms_at_the_shares_of_the_environment(
    rig: Rig, share: float, level: int
) -> None:
    found = at(rig, share)

    assert found["reward"].level == level
    assert "was not called" in found["reward"].message
    assert found["round"].level == OK


def test_the_event_of_the_nodes_account_is_the_proof(rig: Rig) -> None:
    rig.contracts.log(REWARD, 1200)
    rig.contracts.last_reward = 100

    found = at(rig, 0.9)["reward"]

    assert found.level == OK
    assert f"block 1200, 0x{1200:064x}" in found.message


def test_the_event_of_another_account_or_of_the_round_before_proves_nothing(rig: Rig) -> None:
    rig.contracts.log(REWARD, 1200, topic="0x" + word(7))
    rig.contracts.log(REWARD, 999)
    rig.contracts.log(REWARD, 1300, contract="0x" + "ee" * 20)

    assert at(rig, 0.9)["reward"].level == ALARM


def test_a_last_reward_that_no_event_bears_out_is_not_believed(rig: Rig) -> None:
    rig.contracts.last_reward = 100

    found = at(rig, 0.9)["reward"]

    assert found.level == ALARM
    assert "though the last reward is told to be of round 100" in found.message


def test_without_events_the_last_reward_counts_and_it_is_said_that_it_is_not_proven(rig: Rig) -> None:
    rig.contracts.last_reward = 100
    rig.answers.results["eth_getLogs"] = NoAnswer("no suitable peers available")

    found = at(rig, 0.9)

    assert found["reward"].level == OK
    assert "not proven by its event" in found["reward"].message
    assert "no suitable peers" in found[""].message


def test_input_data_are_never_looked_at(rig: Rig) -> None:
    at(rig, 0.5)

    assert {question["method"] for question in rig.answers.asked} == {"eth_call", "eth_getLogs", "eth_blockNumber"}


def test_a_round_that_is_not_initialised_has_no_reward_and_is_told_itself(rig: Rig) -> None:
    rig.contracts.initialized = False

    assert [at(rig, share)["round"].level for share in (0.05, 0.1, 0.25)] == [OK, WARN, ALARM]
    assert at(rig, 0.9)["reward"].level == OK


def test_a_node_that_is_not_active_has_no_reward_to_call(rig: Rig) -> None:
    rig.contracts.active = False

    assert at(rig, 0.9)["reward"].level == OK


def test_the_next_round_begins_anew(rig: Rig) -> None:
    rig.contracts.log(REWARD, 1200)
    assert at(rig, 0.9)["reward"].level == OK

    rig.contracts.number, rig.contracts.start = 101, rig.contracts.start + rig.contracts.length

    assert at(rig, 0.3)["reward"].level == WARN


def test_blocks_are_read_in_pieces_and_only_once(rig: Rig) -> None:
    rig.machine.config["protocol"]["log_blocks"] = rig.contracts.most_blocks = 100
    rig.contracts.log(REWARD, 1000 + 2500)
    told = [at(rig, 0.5)["reward"] for _ in range(3)]
    rig.answers.asked.clear()
    at(rig, 0.5)

    assert [reading.level for reading in told] == [ALARM, ALARM, OK]
    assert len([question for question in rig.answers.asked if question["method"] == "eth_getLogs"]) == 1


def test_a_reward_whose_block_was_replaced_is_taken_back(rig: Rig) -> None:
    contracts = rig.contracts
    contracts.log(REWARD, contracts.start + contracts.length // 2 - 3)
    assert at(rig, 0.5)["reward"].level == OK

    contracts.logs.clear()

    assert at(rig, 0.5)["reward"].level == ALARM


def test_slashing_is_an_alarm_for_a_day(rig: Rig) -> None:
    rig.contracts.log(SLASHED, 1500)

    assert at(rig, 0.1)["slashed"].level == ALARM
    assert at(rig, 0.1)["deactivated"].level == OK
    rig.machine.now = NOW + 23 * 3600
    assert at(rig, 0.9)["slashed"].level == ALARM
    rig.machine.now = NOW + 25 * 3600
    assert at(rig, 0.9)["slashed"].level == OK


@pytest.mark.parametrize("signature", sorted(GONE))
def test_every_way_out_of_the_active_set_is_an_alarm(rig: Rig, signature: str) -> None:
    rig.contracts.log("0x" + EVENTS[signature], 1500)

    assert at(rig, 0.1)["deactivated"].level == ALARM


def test_an_alarm_of_slashing_outlives_the_round(rig: Rig) -> None:
    rig.contracts.log(SLASHED, 1500)
    at(rig, 0.9)
    rig.contracts.number, rig.contracts.start = 101, rig.contracts.start + rig.contracts.length

    assert at(rig, 0.1)["slashed"].level == ALARM


def test_a_chain_that_does_not_answer_leaves_what_livepeer_tells(rig: Rig) -> None:
    rig.answers.results["eth_call"] = NoAnswer("no suitable peers available")

    found = rig.machine.look(rounds.look)["reward"]

    assert found.level == OK  # the watch has just begun to see this round
    assert "at least 0 % of round 100" in found.message


def test_without_an_rpc_the_share_counts_from_when_the_round_was_first_seen(rig: Rig) -> None:
    rig.machine.config["rpc"] = ""
    seconds = rig.machine.config["thresholds"]["round_seconds"]
    found = []
    for share in (0, 0.24, 0.25, 0.5):
        rig.machine.now = NOW + share * seconds
        found.append(rig.machine.look(rounds.look)["reward"].level)

    assert found == [OK, OK, WARN, ALARM]
    assert set(rig.machine.look(rounds.look)) == {"reward", "round"}


def test_livepeers_own_record_is_enough_without_an_rpc(rig: Rig) -> None:
    rig.machine.config["rpc"] = ""
    record = {"Active": True, "Status": "Registered", "LastRewardRound": 100}
    rig.answers.page("/transcoderInfo", record)

    assert "not proven" in rig.machine.look(rounds.look)["reward"].message


def test_a_round_of_the_versions_that_tell_it_in_bytes_is_read(arbitrum: Rig) -> None:
    api = arbitrum.machine.config["livepeer"]
    api["round_form"] = "bytes"
    arbitrum.answers.page(api["current_round"], (3001).to_bytes(2, "big"))

    assert livepeer.current_round(api) == 3001


def layer_2(rig: Rig, share: float) -> dict[str, Reading]:
    """Look at a round on Arbitrum, whose own blocks are four a second: the round has begun at its block 1000000."""
    contracts = rig.contracts
    gone = int(contracts.length * share)
    contracts.block = contracts.start + gone
    contracts.head = 1_000_000 + gone * 48
    for _ in range(8):
        found = rig.machine.look(rounds.look)
    return found


def test_on_arbitrum_the_begin_of_the_round_is_its_own_event(arbitrum: Rig) -> None:
    contracts = arbitrum.contracts
    contracts.log(NEW_ROUND, 1_000_010, topic="0x" + word(100), contract=contracts.rounds)
    contracts.log(REWARD, 1_000_005)  # of the round before

    assert layer_2(arbitrum, 0.6)["reward"].level == ALARM
    contracts.log(REWARD, 1_000_000 + int(contracts.length * 0.6) * 48 - 2)
    assert layer_2(arbitrum, 0.6)["reward"].level == OK


def test_on_arbitrum_nothing_is_proven_before_the_begin_of_the_round_was_read(arbitrum: Rig) -> None:
    arbitrum.contracts.last_reward = 100

    assert "not proven" in layer_2(arbitrum, 0.6)["reward"].message


def test_the_numbers_of_the_round_are_told(rig: Rig) -> None:
    at(rig, 0.5)
    found = rig.machine.gauges(rounds.look)

    assert (found["round_number"], found["round_blocks_left"], found["round_progress"]) == (100, 2880, 0.5)


def test_the_account_asked_for_is_that_of_the_volume(rig: Rig) -> None:
    at(rig, 0.5)
    topics = [q["params"][0]["topics"] for q in rig.answers.asked if q["method"] == "eth_getLogs"]

    assert topics[0][1] == "0x" + "0" * 24 + ADDRESS[2:]


def questions(rig: Rig) -> list[int]:
    """Return over how many blocks each question for events went, and forget them."""
    asked = [q["params"][0] for q in rig.answers.asked if q["method"] == "eth_getLogs"]
    rig.answers.asked.clear()
    return [int(question["toBlock"], 16) - int(question["fromBlock"], 16) + 1 for question in asked]


@pytest.mark.parametrize("most", [10, 500, 2000])
def test_an_endpoint_that_denies_wide_ranges_is_asked_for_fewer_blocks(rig: Rig, most: int) -> None:
    rig.contracts.most_blocks = most
    rig.contracts.log(REWARD, 1002)
    found = at(rig, 0.9)

    assert "" not in found, "it was read on"
    assert found["reward"].level == OK
    first = questions(rig)
    assert len(first) <= 10
    at(rig, 1)
    later = questions(rig)
    assert max(later) <= most, "what worked is remembered"


@pytest.mark.parametrize(("status", "asked"), [(400, 4), (413, 4), (429, 1), (503, 1)])
def test_a_status_of_too_much_is_asked_for_fewer_blocks_and_one_of_too_often_is_not(
    rig: Rig, status: int, asked: int
) -> None:
    rig.answers.denial = status
    rig.contracts.most_blocks = 1000  # of 5185: after 5000, 2500 and 1250 blocks
    rig.contracts.log(REWARD, 1002)
    at(rig, 0.9)

    assert len(questions(rig)[:4]) == asked


def test_an_endpoint_that_denies_everything_is_named_with_its_own_words(rig: Rig) -> None:
    rig.contracts.most_blocks = 0

    assert "block range is too wide" in at(rig, 0.9)[""].message
    assert len(questions(rig)) <= 10


def test_an_endpoint_that_answers_nothing_is_asked_once(rig: Rig) -> None:
    rig.answers.results["eth_getLogs"] = "no list"
    at(rig, 0.9)

    assert len(questions(rig)) == 1


def test_a_chain_that_has_become_much_shorter_is_read_again(rig: Rig) -> None:
    contracts = rig.contracts
    contracts.log(SLASHED, contracts.start + contracts.length // 2 - 5)
    contracts.log(REWARD, contracts.start + contracts.length // 2 - 3)
    assert [at(rig, 0.5)[name].level for name in ("reward", "slashed")] == [OK, ALARM]

    contracts.logs.clear()

    assert [at(rig, 0.4)[name].level for name in ("reward", "slashed")] == [WARN, OK]
