"""A running livepeer 0.5.2: what it does otherwise than 0.2.4, which is what its machine and its watch rely on."""

import json
import signal
import sqlite3
import ssl
import stat
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.standins.common.address import checksummed
from lab.standins.livepeer_node.account import from_file
from tests.contract.standins.test_livepeer_node import chain
from tests.unit.lab.standins.programs import Geth, Program, free_port, new_account, run, started, wait_for

__all__ = ["chain"]
PROGRAM = "livepeer_0_5_2"
PASSPHRASE = "correct horse battery staple"


@dataclass
class Livepeer:
    """A running livepeer; ``control`` and ``work`` are its ports."""

    program: Program
    datadir: Path
    control: int
    work: int

    def read(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control}{path}", timeout=30) as response:
            return bytes(response.read())

    def get(self, path: str) -> str:
        return self.read(path).decode()


def arguments(home: Path, node: Geth, control: int, work: int) -> tuple[str, ...]:
    """Return the words that the image has in its unit, but for the ports."""
    where = ("-datadir", str(home / "lpData"), "-ethUrl", f"ws://127.0.0.1:{node.websocket}")
    ports = ("-cliAddr", f"127.0.0.1:{control}", "-serviceAddr", f"127.0.0.1:{work}")
    return ("-orchestrator", "-transcoder", "-network", "mainnet", *where, "-gasPrice", "0", *ports, "-v", "4")


@contextmanager
def livepeer(home: Path, node: Geth, *words: str, **more: str) -> Iterator[Livepeer]:
    if not (home / "lpData" / "keystore").exists():
        new_account(home, home / "lpData")
    control, work = free_port(), free_port()
    with started(PROGRAM, *arguments(home, node, control, work), *words, home=home, **more) as program:
        program.wait_for_log("Livepeer Running in Orchestrator Mode")
        yield Livepeer(program, home / "lpData", control, work)


def fails(home: Path, node: Geth, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run livepeer against a geth; for runs that end by themselves."""
    return run(PROGRAM, *arguments(home, node, free_port(), free_port()), *words, home=home, stdin=stdin)


def test_the_control_api_has_the_routes_and_forms_of_its_version(tmp_path: Path, chain: Geth) -> None:
    with livepeer(tmp_path, chain, "-pricePerUnit", "3", "-pixelsPerUnit", "2") as node:
        (key_file,) = (node.datadir / "keystore").iterdir()
        address = bytes.fromhex(key_file.name[-40:])
        assert node.get("/ethAddr") == checksummed(address)
        info = json.loads(node.get("/orchestratorInfo"))
        own = info["Transcoder"]
        assert info["PriceInfo"] == "3/2"
        assert (own["Address"], own["Active"], own["Status"]) == ("0x" + address.hex(), True, "Registered")
        assert own["ServiceURI"] == f"https://127.0.0.1:{node.work}"
        assert "PricePerSegment" not in own
        status = json.loads(node.get("/status"))
        assert (status["Version"], status["Manifests"], status["LocalTranscoding"]) == ("0.5.2", {}, True)
        assert "NodeID" not in status
        parameters = json.loads(node.get("/protocolParameters"))
        assert parameters["VerificationRate"] is None
        assert int.from_bytes(node.read("/currentRound"), "big") == chain.head // parameters["RoundLength"]
        plain = [node.get(path) for path in ("/EthChainID", "/IsOrchestrator", "/roundInitialized", "/gasPrice")]
        assert plain == ["1", "true", "true", "0"]
        assert "TicketBroker" in json.loads(node.get("/contractAddresses"))
        for gone in ("/transcoderInfo", "/EthNetworkID", "/IsTranscoder", "/nodeID", "/transcoderEventSubscriptions"):
            with pytest.raises(urllib.error.HTTPError, match="404") as missing:
                node.get(gone)
            missing.value.close()


def test_the_newest_block_that_it_has_noted_is_big_endian_bytes(tmp_path: Path, chain: Geth) -> None:
    with livepeer(tmp_path, chain) as node:
        assert 0 < wait_for("a block", lambda: int.from_bytes(node.read("/currentBlock"), "big")) <= chain.head
        with closing(sqlite3.connect(node.datadir / "lp.sqlite3")) as database:
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert "kv" in tables
        assert "jobs" not in tables


def test_without_its_geth_the_round_is_500_and_the_balance_is_200_and_nothing(tmp_path: Path, chain: Geth) -> None:
    with livepeer(tmp_path, chain) as node:
        assert chain.program.stop(signal.SIGTERM) == 0
        with pytest.raises(urllib.error.HTTPError, match="500") as failed:
            node.get("/currentRound")
        failed.value.close()
        assert node.get("/ethBalance") == ""


def test_the_work_port_shows_a_certificate_that_is_made_at_each_start(tmp_path: Path, chain: Geth) -> None:
    seen = []
    for _ in range(2):
        with livepeer(tmp_path, chain) as node:
            seen.append(ssl.get_server_certificate(("127.0.0.1", node.work)))
            assert seen[-1] == (node.datadir / "cert.pem").read_text()
            assert stat.S_IMODE((node.datadir / "key.pem").stat().st_mode) & 0o077 == 0
            assert node.program.stop(signal.SIGINT) == 0
    assert seen[0] != seen[1]
    assert not (tmp_path / ".rnd").exists()
    assert not (node.datadir / "keys.json").exists()


def test_the_reward_is_tried_within_seconds_of_its_start(tmp_path: Path, chain: Geth) -> None:
    with livepeer(tmp_path, chain) as node:
        node.program.wait_for_log("Called reward for round")
        own = json.loads(node.get("/orchestratorInfo"))["Transcoder"]
        assert own["LastRewardRound"] == int.from_bytes(node.read("/currentRound"), "big")


def test_it_reads_its_passphrase_from_a_file(tmp_path: Path, chain: Geth) -> None:
    address = new_account(tmp_path, tmp_path / "lpData", PASSPHRASE)
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE)
    with livepeer(tmp_path, chain, "-ethPassword", str(file)) as node:
        assert node.get("/ethAddr") == checksummed(bytes.fromhex(address))
        assert PASSPHRASE not in node.program.log


@pytest.mark.parametrize(
    ("content", "read"),
    [(b"one\ntwo\n", "one"), (b"one\r\n", "one"), (b"one ", "one "), (b"\n", ""), (b"", None), (None, None)],
)
def test_the_passphrase_is_the_first_line_of_a_file_or_the_word_itself(
    tmp_path: Path, content: bytes | None, read: str | None
) -> None:
    file = tmp_path / "passphrase"
    if content is not None:
        file.write_bytes(content)
    assert from_file(str(file)) == (str(file) if read is None else read)
    assert from_file(str(tmp_path)) == str(tmp_path), "a directory is no file"


@pytest.mark.parametrize("content", [None, "another"])
def test_a_file_that_is_missing_or_has_another_passphrase_ends_it_with_code_0(
    tmp_path: Path, chain: Geth, content: str | None
) -> None:
    new_account(tmp_path, tmp_path / "lpData", PASSPHRASE)
    file = tmp_path / "passphrase"
    if content:
        file.write_text(content)
    result = fails(tmp_path, chain, "-ethPassword", str(file))
    assert result.returncode == 0
    assert "Failed to setup client: could not decrypt key" in result.stderr


def test_an_empty_keystore_asks_for_a_passphrase_though_one_is_given(tmp_path: Path, chain: Geth) -> None:
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE)
    result = fails(tmp_path, chain, "-ethPassword", str(file))
    assert (result.returncode, result.stdout) == (0, "Passphrase: ")
    assert "Failed to create client: EOF" in result.stderr
    assert not list((tmp_path / "lpData").glob("keystore/*"))


def test_without_a_network_it_is_off_chain_and_asks_nobody(tmp_path: Path, chain: Geth) -> None:
    words = ("-orchestrator", "-transcoder", "-cliAddr", f"127.0.0.1:{free_port()}")
    with started(PROGRAM, *words, "-serviceAddr", f"127.0.0.1:{free_port()}", home=tmp_path) as program:
        program.wait_for_log("Livepeer Running in Orchestrator Mode")
        assert "off-chain mode" in program.log
    assert (tmp_path / ".lpData" / "offchain" / "lp.sqlite3").exists(), "each missing level is made"


@pytest.mark.parametrize(
    ("words", "told"),
    [(("-transcoder",), "-orchestrator -transcoder"), (("-orchestrator", "-transcoder"), "needs -serviceAddr")],
)
def test_what_it_does_not_play_it_says(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    result = run(PROGRAM, *words, "-cliAddr", f"127.0.0.1:{free_port()}", home=tmp_path)
    assert result.returncode == 0
    assert told in result.stderr


@pytest.mark.parametrize("flag", ["-publicIP", "-ipfsPath", "-log_dir", "-reward", "-config"])
def test_a_flag_of_another_version_is_refused_with_code_2(tmp_path: Path, flag: str) -> None:
    result = run(PROGRAM, flag, "x", home=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith(f"flag provided but not defined: {flag}\nUsage of livepeer:\n")


def test_version_names_the_version_and_that_it_is_a_stand_in(tmp_path: Path) -> None:
    lines = run(PROGRAM, "-version", home=tmp_path).stdout.splitlines()
    assert lines[0] == "Livepeer Node Version: 0.5.2"
    assert "stand-in" in lines[-1]
    wizard = run("livepeer_cli_0_5_2", home=tmp_path)
    assert wizard.returncode == 1
    assert "http://127.0.0.1:7935/orchestratorInfo" in wizard.stderr
