"""A running livepeer 0.2.4: its key, its ports, its rewards, its records, its end."""

import json
import signal
import socket
import sqlite3
import stat
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lab.standins.common.address import checksummed
from lab.standins.livepeer_node.state import parse_record, record
from tests.unit.lab.standins.programs import Geth, Program, free_port, geth, new_account, run, started, wait_for

PATIENT = {"GETH_STANDIN_ROUND_LENGTH": "100000", "GETH_STANDIN_ROUND_INIT_BLOCKS": "0"}


class Livepeer:
    """A running livepeer and its control API."""

    def __init__(self, program: Program, datadir: Path, http: int, peers: int) -> None:
        self.program = program
        self.datadir = datadir
        self.http = http
        self.peers = peers

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=30) as response:
            return str(response.read().decode())

    def last_reward_round(self) -> int:
        return int(json.loads(self.get("/transcoderInfo"))["LastRewardRound"])


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Geth]:
    """A geth in sync, whose round has long begun and does not end."""
    with geth(tmp_path, **PATIENT) as node:
        node.wait_until_in_sync()
        yield node


@contextmanager
def livepeer(home: Path, node: Geth, *words: str, **more: str) -> Iterator[Livepeer]:
    datadir = home / "lpData"
    if not (datadir / "keystore").exists():
        new_account(home, datadir)
    http, peers = free_port(), free_port()
    ports = ("-http", str(http), "-p", str(peers), "-rtmp", str(free_port()))
    paths = ("-datadir", str(datadir), "-ipfsPath", str(home / "ipfs"), "-ethUrl", f"ws://127.0.0.1:{node.websocket}")
    role = ("-transcoder", "-publicIP", "203.0.113.7")
    with started("livepeer", *paths, *ports, *role, *words, home=home, **more) as program:
        program.wait_for_log("Livepeer Running in Transcoder Mode")
        yield Livepeer(program, datadir, http, peers)


def fails(home: Path, node: Geth, *words: str) -> subprocess.CompletedProcess[str]:
    """Run livepeer against a geth; for runs that end by themselves."""
    where = ("-ethIpcPath", node.ipc, "-p", str(free_port()))
    return run("livepeer", "-datadir", str(home / "lpData"), *where, *words, home=home)


def numbers(path: Path) -> list[int | None]:
    return [parse_record(line) for line in path.read_bytes().split(b"\n")[:-1]]


def test_the_control_api_answers_in_the_forms_of_its_version(tmp_path: Path, chain: Geth) -> None:
    with livepeer(tmp_path, chain, "-gasPrice", "0", "-v", "6", "-log_dir", str(tmp_path)) as node:
        (key_file,) = (node.datadir / "keystore").iterdir()
        address = bytes.fromhex(key_file.name[-40:])
        assert node.get("/ethAddr") == checksummed(address)
        info = json.loads(node.get("/transcoderInfo"))
        assert (info["Address"], info["Active"], info["Status"]) == ("0x" + address.hex(), True, "Registered")
        assert info["DelegatedStake"] > 2**53
        identity = node.get("/nodeID")
        assert json.loads(node.get("/status")) == {"NodeID": identity, "Manifests": {}}
        assert (len(identity), identity[:4]) == (68, "1220")
        parameters = json.loads(node.get("/protocolParameters"))
        assert int(node.get("/currentRound")) == chain.head // parameters["RoundLength"]
        assert "/ip4/203.0.113.7/tcp/" in node.get("/nodeAddrs")
        subscriptions = json.loads(node.get("/transcoderEventSubscriptions"))
        assert subscriptions == {"JobService": True, "RewardService": True, "RoundsService": False}
        plain = {path: node.get(path) for path in ("/EthNetworkID", "/IsTranscoder", "/roundInitialized", "/gasPrice")}
        expected = {"/EthNetworkID": "1", "/IsTranscoder": "true", "/roundInitialized": "true", "/gasPrice": "0"}
        assert plain == expected
        assert int(node.get("/ethBalance")) > 0
        with pytest.raises(urllib.error.HTTPError, match="404") as missing:
            node.get("/orchestratorInfo")
        missing.value.close()


def test_its_ports_are_open_where_the_version_opens_them(tmp_path: Path, chain: Geth) -> None:
    with livepeer(tmp_path, chain) as node, socket.create_connection(("127.0.0.1", node.peers), timeout=10) as peer:
        assert peer.recv(100) == b"\x13/multistream/1.0.0\n"


def test_a_reward_called_by_hand_is_mined_and_costs_gas_and_the_second_one_reverts(tmp_path: Path, chain: Geth) -> None:
    with livepeer(tmp_path, chain) as node:
        current = int(node.get("/currentRound"))
        assert node.last_reward_round() == current - 1
        before = int(node.get("/ethBalance"))
        assert node.get("/reward") == ""
        assert node.last_reward_round() == current
        after = int(node.get("/ethBalance"))
        assert after < before
        assert node.get("/reward") == ""
        assert int(node.get("/ethBalance")) < after
        assert "failed" in node.program.log
        (event,) = chain.call("eth_getLogs", {"fromBlock": "0x0"})
        assert event["topics"][0] == "0x619caafabdd75649b302ba8419e48cccf64f37f1983ac4727cfb38b57703ffc9"


def test_the_reward_is_called_by_itself_once_a_round(tmp_path: Path, chain: Geth) -> None:
    with livepeer(tmp_path, chain, LIVEPEER_STANDIN_REWARD_SECONDS="0.2") as node:
        node.program.wait_for_log("Called reward for round")
        assert node.last_reward_round() == int(node.get("/currentRound"))
        assert node.program.log.count("Submitted reward()") == 1


def test_it_calls_no_reward_while_it_is_told_to_be_idle(tmp_path: Path, chain: Geth) -> None:
    idle = tmp_path / "lpData" / "NO-REWARD"
    idle.parent.mkdir()
    idle.write_text("{}")
    with livepeer(tmp_path, chain, LIVEPEER_STANDIN_REWARD_SECONDS="0.1") as node:
        for _ in range(3):
            _wait_for_more(node.datadir / "records.log")
        assert "reward()" not in node.program.log
        idle.unlink()
        node.program.wait_for_log("Called reward for round")


def test_the_network_is_as_the_file_says_while_it_is_there(tmp_path: Path, chain: Geth) -> None:
    with livepeer(tmp_path, chain) as node:
        decree = chain.datadir / "geth" / "NETWORK"
        decree.write_text('{"balance": 7, "unregistered": true, "uninitialized": true}')
        assert node.get("/ethBalance") == "7"
        assert json.loads(node.get("/transcoderInfo"))["Status"] == "Not Registered"
        assert node.get("/roundInitialized") == "false"
        decree.unlink()
        assert node.get("/ethBalance") == str(10**18)
        assert json.loads(node.get("/transcoderInfo"))["Status"] == "Registered"


def test_a_round_that_nobody_initialized_is_initialized_when_asked_to(tmp_path: Path) -> None:
    rules = {"GETH_STANDIN_ROUND_LENGTH": "100000", "GETH_STANDIN_ROUND_INIT_BLOCKS": "100000"}
    with geth(tmp_path, **rules) as chain:
        chain.wait_until_in_sync()
        with livepeer(tmp_path, chain, "-initializeRound") as node:
            node.program.wait_for_log("Initialized round")
            assert node.get("/roundInitialized") == "true"


def test_without_its_geth_the_api_answers_200_and_nothing(tmp_path: Path, chain: Geth) -> None:
    with livepeer(tmp_path, chain) as node:
        assert chain.program.stop(signal.SIGTERM) == 0
        assert node.get("/currentRound") == ""
        assert node.get("/ethBalance") == ""
        assert len(node.get("/nodeID")) == 68


def test_records_are_whole_and_without_gaps_over_kills_and_stops(tmp_path: Path, chain: Geth) -> None:
    ends = [(signal.SIGKILL, -9), (signal.SIGTERM, -15), (signal.SIGINT, 0)]
    for number, code in ends:
        with livepeer(tmp_path, chain) as node:
            path = node.datadir / "records.log"
            _wait_for_more(path)
            assert node.program.stop(number) == code
    written = numbers(path)
    assert written == list(range(1, len(written) + 1))
    assert "Exiting Livepeer: interrupt" in node.program.log


def _wait_for_more(path: Path) -> None:
    have = len(numbers(path))
    wait_for("ten more records", lambda: len(numbers(path)) >= have + 10)


@pytest.mark.parametrize("torn", [b"3 1795358353.6", b"3 1795358353.642 00000000\n", b"\0\0\0\0\0\0", b"\n\n"])
def test_a_torn_last_record_is_cut_off_and_said(tmp_path: Path, chain: Geth, torn: bytes) -> None:
    new_account(tmp_path, tmp_path / "lpData")
    path = tmp_path / "lpData" / "records.log"
    path.write_bytes(record(1, 5.0) + record(2, 5.02) + torn)
    with livepeer(tmp_path, chain) as node:
        node.program.wait_for_log("torn record")
        wait_for("a new record", lambda: len(numbers(path)) > 2)
        assert node.program.stop(signal.SIGINT) == 0
    written = numbers(path)
    assert written == list(range(1, len(written) + 1))


def test_the_database_follows_the_chain(tmp_path: Path, chain: Geth) -> None:
    with livepeer(tmp_path, chain) as node, closing(sqlite3.connect(node.datadir / "lp.sqlite3")) as database:
        query = "SELECT value FROM kv WHERE key = 'lastBlock'"
        last = wait_for("a block in the database", lambda: database.execute(query).fetchone()[0])
        assert 0 < last <= chain.head
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert {"kv", "jobs", "receipts"} <= tables


def test_the_libp2p_identity_stays_while_its_file_does(tmp_path: Path, chain: Geth) -> None:
    identities = []
    for lose in (False, True, False):
        with livepeer(tmp_path, chain) as node:
            identities.append(node.get("/nodeID"))
            keys = node.datadir / "keys.json"
            assert stat.S_IMODE(keys.stat().st_mode) == 0o644
            assert node.program.stop(signal.SIGINT) == 0
        if lose:
            keys.unlink()
    assert identities[0] == identities[1] != identities[2]


def test_an_empty_keystore_asks_for_a_passphrase_and_ends_with_code_0(tmp_path: Path, chain: Geth) -> None:
    result = fails(tmp_path, chain)
    assert (result.returncode, result.stdout) == (0, "Passphrase: ")
    assert "No Ethereum account found. Creating a new account" in result.stderr
    assert "Failed to create client: EOF" in result.stderr
    assert not list((tmp_path / "lpData").glob("keystore/*"))


def test_an_address_that_is_not_in_the_keystore_would_make_another_account(tmp_path: Path, chain: Geth) -> None:
    new_account(tmp_path, tmp_path / "lpData")
    result = fails(tmp_path, chain, "-ethAcctAddr", "0x" + "11" * 20)
    assert result.returncode == 0
    assert "Creating a new account" in result.stderr


def test_a_wrong_password_ends_it_with_code_0(tmp_path: Path, chain: Geth) -> None:
    new_account(tmp_path, tmp_path / "lpData", "right")
    result = fails(tmp_path, chain, "-ethPassword", "wrong")
    assert result.returncode == 0
    assert "Failed to setup client: could not decrypt key with given passphrase" in result.stderr


def test_a_key_with_a_password_and_none_given_is_asked_for(tmp_path: Path, chain: Geth) -> None:
    new_account(tmp_path, tmp_path / "lpData", "right")
    result = fails(tmp_path, chain)
    assert (result.returncode, result.stdout) == (0, "Passphrase: ")
    assert "Please enter the passphrase to unlock Ethereum account" in result.stderr


def test_the_first_key_by_file_name_is_used_and_the_address_flag_chooses_another(tmp_path: Path, chain: Geth) -> None:
    first = bytes.fromhex(new_account(tmp_path, tmp_path / "lpData"))
    second = bytes.fromhex(new_account(tmp_path, tmp_path / "lpData"))
    with livepeer(tmp_path, chain) as node:
        assert node.get("/ethAddr") == checksummed(first)
    with livepeer(tmp_path, chain, "-ethAcctAddr=" + second.hex()) as node:
        assert node.get("/ethAddr") == checksummed(second)


def test_a_keystore_directory_without_a_trailing_slash_means_its_parent(tmp_path: Path, chain: Geth) -> None:
    address = new_account(tmp_path, tmp_path / "elsewhere")
    directory = tmp_path / "elsewhere" / "keystore"
    assert "Creating a new account" in fails(tmp_path, chain, "-ethKeystorePath", str(directory)).stderr
    found = fails(tmp_path, chain, "-ethKeystorePath", f"{directory}/", "-ethPassword", "wrong").stderr
    assert f"Using Ethereum account: {checksummed(bytes.fromhex(address))}" in found


def test_a_transcoder_needs_its_public_address(tmp_path: Path, chain: Geth) -> None:
    new_account(tmp_path, tmp_path / "lpData")
    result = fails(tmp_path, chain, "-transcoder")
    assert result.returncode == 0
    assert "-publicIP" in result.stderr


@pytest.mark.parametrize("where", [("-ethIpcPath", "/nonexistent"), ("-ethUrl", "http://127.0.0.1:1")])
def test_without_a_geth_it_ends_with_code_0(tmp_path: Path, where: tuple[str, str]) -> None:
    new_account(tmp_path, tmp_path / "lpData")
    result = run("livepeer", "-datadir", str(tmp_path / "lpData"), *where, "-p", str(free_port()), home=tmp_path)
    assert result.returncode == 0
    assert "Failed to c" in result.stderr


def test_only_one_missing_level_of_the_data_directory_is_made(tmp_path: Path) -> None:
    words = ("-datadir", str(tmp_path / "a" / "b"), "-offchain")
    result = run("livepeer", *words, home=tmp_path)
    assert result.returncode == 0
    assert "Error creating datadir" in result.stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("flag", ["-serviceAddr", "--orchestrator", "-network=mainnet", "-cliAddr"])
def test_a_flag_of_another_version_is_refused_with_code_2(tmp_path: Path, flag: str) -> None:
    result = run("livepeer", flag, "x", home=tmp_path)
    name = flag.lstrip("-").split("=")[0]
    assert result.returncode == 2
    assert result.stderr.startswith(f"flag provided but not defined: -{name}\nUsage of livepeer:\n")


@pytest.mark.parametrize("flag", ["-p", "-p=x", "-transcoder=maybe"])
def test_a_flag_without_a_good_value_is_refused_with_code_2(tmp_path: Path, flag: str) -> None:
    result = run("livepeer", flag, home=tmp_path)
    assert result.returncode == 2
    assert "Usage of livepeer:" in result.stderr


def test_version_names_the_version_and_that_it_is_a_stand_in(tmp_path: Path) -> None:
    lines = run("livepeer", "-version", home=tmp_path).stdout.splitlines()
    assert lines[0] == "Livepeer Node Version: 0.2.4-unstable"
    assert "stand-in" in lines[1]


def test_the_wizard_refuses_and_says_what_to_do_instead(tmp_path: Path) -> None:
    result = run("livepeer_cli", home=tmp_path)
    assert result.returncode == 1
    assert "http://127.0.0.1:8935/" in result.stderr
