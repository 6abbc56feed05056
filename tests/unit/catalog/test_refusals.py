"""What cannot be is refused with all its reasons, and each says what would be right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.catalog.choices import ARBITRUM, REFERENCE, with_geth, with_livepeer
from transcoder.catalog.choice import Choice
from transcoder.catalog.refusals import notes, reasons


@pytest.mark.parametrize("choice", [REFERENCE, ARBITRUM])
def test_what_the_changes_are_made_to_is_right_itself(choice: Choice) -> None:
    assert reasons(choice) == ()


CASES = {
    "livepeer v0.7 on bionic": (replace(with_livepeer(ARBITRUM, version=(0, 7, 0)), os="ubuntu-18.04"), "glibc 2.31"),
    "livepeer v0.9.1 on bionic": (replace(ARBITRUM, os="ubuntu-18.04"), "it runs on ubuntu-22.04"),
    "light mode on geth 1.14": (
        with_geth(ARBITRUM, version=(1, 14, 5), sync_mode="light"),
        "geth 1.14.5 has full, snap",
    ),
    "fast on geth 1.10.14": (with_geth(REFERENCE, version=(1, 10, 14), sync_mode="fast"), "light, full, snap"),
    "snap on geth 1.8": (with_geth(REFERENCE, sync_mode="snap"), "geth 1.8.27 has light, fast, full"),
    "a gas price on v0.5.17": (with_livepeer(ARBITRUM, gas_price_wei=1), "options.maxGasPrice"),
    "-gasPrice as an option": (with_livepeer(ARBITRUM, options={"gasPrice": "1"}), "until before v0.5.17"),
    "mainnet after the merge": (with_geth(REFERENCE, version=(1, 12, 0)), "without a consensus client"),
    "a consensus client of 2019": (with_geth(REFERENCE, consensus_client=True), "came with 1.10.17"),
    "livepeer on Ethereum after LIP-73": (
        with_livepeer(ARBITRUM, network="mainnet"),
        "set livepeer.network to arbitrum-one-mainnet",
    ),
    "a network that came later": (
        with_livepeer(ARBITRUM, version=(0, 5, 27)),
        "does not know the network arbitrum-one-mainnet, which came with v0.5.28",
    ),
    "a network of nobody's": (with_livepeer(ARBITRUM, network="moon"), "known are mainnet"),
    "no RPC address": (with_livepeer(ARBITRUM, eth_url=""), "eth_url is missing"),
    "an RPC address beside geth": (with_livepeer(REFERENCE, eth_url="https://rpc.example"), "would not use the geth"),
    "an RPC address with a key": (
        with_livepeer(ARBITRUM, eth_url="https://rpc.example/v2/abcdefghijklmnopqrstuvwxyz012345"),
        "private_options",
    ),
    "an RPC address in the clear": (with_livepeer(ARBITRUM, eth_url="http://rpc.example"), "https or wss is wanted"),
    "two RPC addresses": (with_livepeer(ARBITRUM, private_options=True), "private.conf"),
    "private options of 2021": (
        with_livepeer(REFERENCE, version=(0, 5, 20), price_per_unit="1", private_options=True, network="rinkeby"),
        "has no -config",
    ),
    "no price": (with_livepeer(ARBITRUM, price_per_unit=""), "panics without -pricePerUnit"),
    "a price in dollars too early": (
        with_livepeer(ARBITRUM, version=(0, 7, 2), price_per_unit="0.50USD"),
        "takes whole wei",
    ),
    "a price in 2018": (with_livepeer(REFERENCE, price_per_unit="1"), "came with v0.5.0"),
    "keys elsewhere": (with_livepeer(REFERENCE, version=(0, 4, 0)), "<datadir>/<network>/keystore"),
    "a version of tomorrow": (with_livepeer(ARBITRUM, version=(0, 10, 0)), "known are 0.2.4 to v0.9.1"),
    "a geth of yesterday": (with_geth(REFERENCE, version=(1, 7, 3)), "known are 1.8.13 to 1.17.5"),
    "geth 1.14.6 on bionic": (
        with_geth(REFERENCE, version=(1, 14, 6), sync_mode="full", consensus_client=True),
        "geth 1.14.6 on ubuntu-18.04",
    ),
    "Rinkeby with a geth that gave it up": (
        with_geth(with_livepeer(REFERENCE, network="rinkeby"), version=(1, 12, 1)),
        "1.12.1 gave up",
    ),
    "a development chain": (replace(with_livepeer(REFERENCE, network="devenv"), geth=None), "options.controllerAddr"),
    "a flag of another time": (
        with_livepeer(ARBITRUM, options={"publicIP": "x"}),
        "known from 0.2.4 until before 0.3.0",
    ),
    "a flag of nobody's": (with_livepeer(ARBITRUM, options={"turbo": "1"}), "no flag -turbo"),
    "a flag of the image's own": (with_livepeer(ARBITRUM, options={"cliAddr": ":7935"}), "sets -cliAddr itself"),
    "a truth that is none": (with_livepeer(ARBITRUM, options={"monitor": "yes"}), "true or false is wanted"),
    "a number that is none": (with_livepeer(ARBITRUM, options={"gasLimit": "lots"}), "a whole number is wanted"),
    "a GPU with a livepeer of CUDA 11": (
        replace(with_livepeer(ARBITRUM, version=(0, 7, 0)), gpus="all", instance_type="g5.xlarge"),
        "CUDA 11",
    ),
    "a GPU on jammy": (replace(ARBITRUM, os="ubuntu-22.04", gpus="all", instance_type="g5.xlarge"), "ubuntu-24.04 has"),
    "a GPU where none is": (replace(ARBITRUM, gpus="all"), "a m6i.xlarge has no NVIDIA GPU"),
    "a GPU and the other archive": (
        replace(ARBITRUM, gpus="all", instance_type="g5.xlarge", archive="livepeer-linux-amd64.tar.gz"),
        "v0.9.1/livepeer-linux-gpu-amd64.tar.gz",
    ),
    "the archive for GPUs without one": (
        replace(ARBITRUM, archive="livepeer-linux-gpu-amd64.tar.gz"),
        "set gpu.devices",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_the_reason(case: str) -> None:
    choice, words = CASES[case]
    found = reasons(choice)
    assert any(words in reason for reason in found), found


def test_every_reason_is_told_at_once() -> None:
    choice = replace(
        with_livepeer(ARBITRUM, gas_price_wei=1, price_per_unit="", eth_url="", options={"turbo": "1"}),
        os="ubuntu-18.04",
        gpus="all",
    )
    assert len(reasons(choice)) == 7


def test_a_secret_is_never_repeated() -> None:
    user = "me:hunter22"
    choice = with_livepeer(
        ARBITRUM, eth_url=f"https://{user}@rpc.example/?key=hunter22", options={"ethPassword": "hunter22"}
    )
    found = reasons(choice)
    assert len(found) == 2
    assert "hunter22" not in " ".join(found)


def test_a_password_is_given_as_a_file_and_only_to_a_livepeer_that_reads_files() -> None:
    path = {"ethPassword": "/d1/livepeer/password"}
    assert reasons(with_livepeer(ARBITRUM, options=path)) == ()
    assert "takes no file there" in reasons(with_livepeer(REFERENCE, options=path))[0]


def test_a_passphrase_from_a_store_is_let_pass_where_the_machine_has_a_role() -> None:
    assert reasons(replace(with_livepeer(ARBITRUM, passphrase_store="ssm"), has_role=True)) == ()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (replace(with_livepeer(REFERENCE, passphrase_store="ssm"), has_role=True), "0.2.4 takes a passphrase on its"),
        (replace(with_livepeer(ARBITRUM, passphrase_store="vault"), has_role=True), "no token of Vault's"),
        (replace(with_livepeer(ARBITRUM, passphrase_store="age"), has_role=True), "open every backup, too"),
        (with_livepeer(ARBITRUM, passphrase_store="secrets-manager"), "set aws.instance_profile"),
        (
            replace(with_livepeer(ARBITRUM, passphrase_store="ssm", options={"ethPassword": "/d1/p"}), has_role=True),
            "two places",
        ),
    ],
)
def test_a_passphrase_from_a_store_that_cannot_be_is_refused_with_the_reason(choice: Choice, words: str) -> None:
    (reason,) = reasons(choice)
    assert words in reason


def test_a_gpu_that_has_all_it_needs_is_let_pass() -> None:
    choice = replace(ARBITRUM, gpus="all", instance_type="g5.xlarge", archive="livepeer-linux-gpu-amd64.tar.gz")
    assert reasons(choice) == ()


def test_geth_beside_a_livepeer_on_arbitrum_is_let_pass() -> None:
    assert reasons(with_geth(ARBITRUM, version=(1, 17, 5))) == ()


def test_who_bakes_the_reference_is_told_that_its_network_is_gone() -> None:
    found = notes(REFERENCE)
    assert any("exists no longer" in note for note in found)
    assert any("no light server" in note for note in found)
    assert not any("exists no longer" in note for note in notes(ARBITRUM))
