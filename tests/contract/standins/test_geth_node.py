"""A running geth: its chain, its doors, its signals, its data directory."""

import json
import signal
import socket
import stat
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from lab.standins.common.rpc_client import RpcClient, Unreachable
from tests.unit.lab.standins.programs import Geth, free_port, geth, run, started, wait_for


def status_of(node: Geth, *, method: str = "POST", body: bytes | None = b"{}", **headers: str) -> tuple[int, bytes]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://127.0.0.1:{node.http}", body, names, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - http alone
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_fresh_node_finds_a_peer_catches_up_and_goes_on(tmp_path: Path) -> None:
    with geth(tmp_path, GETH_STANDIN_PEER_SECONDS="0.5", GETH_STANDIN_FRESH_BLOCKS="500") as node:
        assert (node.call("net_peerCount"), node.call("eth_syncing")) == ("0x0", False)
        syncing = wait_for("syncing", lambda: node.call("eth_syncing"))
        assert sorted(syncing) == ["currentBlock", "highestBlock", "knownStates", "pulledStates", "startingBlock"]
        node.wait_until_in_sync()
        wait_for("the end of syncing", lambda: node.call("eth_syncing") is False)
        head = node.head
        wait_for("a new block", lambda: node.head > head)


def test_a_full_node_says_that_it_is_not_syncing_before_it_begins_to(tmp_path: Path) -> None:
    with geth(tmp_path, "--syncmode", "fast") as node:
        wait_for("a peer", lambda: node.call("net_peerCount") == "0x1")
        first = node.head
        time_of_second_look = time.monotonic() + 0.5
        wait_for("half a second", lambda: time.monotonic() > time_of_second_look)
        assert (node.call("eth_syncing"), node.head) == (False, first)


def test_http_answers_as_geth_does(tmp_path: Path) -> None:
    with geth(tmp_path, "--rpcapi", "db,eth,net,web3") as node:
        wait_for("a peer", lambda: node.call("net_peerCount") == "0x1")
        assert node.call("net_version") == "1"
        assert node.call("web3_clientVersion").startswith("Geth/standin/v1.8.27-stable-4bcc0a37/linux-amd64/")
        assert node.call("rpc_modules") == {"eth": "1.0", "net": "1.0", "rpc": "1.0", "web3": "1.0"}
        assert node.call("eth_getBlockByNumber", "0xfffffffffffff", False) is None
        assert node.call("eth_getLogs", {}) == []
        assert node.call("eth_getBalance", "0x" + "11" * 20, "latest") == hex(10**18)
        block = node.call("eth_getBlockByNumber", "latest", False)
        assert (
            block["parentHash"] == node.call("eth_getBlockByNumber", hex(int(block["number"], 16) - 1), False)["hash"]
        )


def test_http_refuses_as_geth_does(tmp_path: Path) -> None:
    with geth(tmp_path) as node:
        assert status_of(node, Content_Type="text/plain")[0] == 415
        assert status_of(node, Content_Type="application/json", Host="evil.example") == (
            403,
            b"invalid host specified\n",
        )
        assert status_of(node, method="GET", body=None) == (200, b"")
        assert status_of(node, method="PUT")[0] == 405
        unknown = node.post('{"jsonrpc":"2.0","id":7,"method":"foo_bar"}')
        message = "The method foo_bar does not exist/is not available"
        assert unknown == {"jsonrpc": "2.0", "id": 7, "error": {"code": -32601, "message": message}}
        assert node.post('{"id":1,"method":"admin_peers"}')["error"]["code"] == -32601
        assert node.post('{"id":1,"method":"eth_getBalance","params":["0x12","latest"]}')["error"]["code"] == -32602
        batch = node.post('[{"id":1,"method":"net_version"},{"id":2,"method":"net_listening"}]')
        assert [answer["result"] for answer in batch] == ["1", True]


def test_the_ipc_socket_is_private_and_takes_requests_without_line_ends(tmp_path: Path) -> None:
    with geth(tmp_path) as node:
        assert stat.S_IMODE(Path(node.ipc).stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(node.ipc)
            connection.sendall(b'{"id":1,"method":"net_version"}{"id":2,"meth')
            connection.sendall(b'od":"rpc_modules"}')
            with connection.makefile() as answers:
                assert json.loads(answers.readline())["result"] == "1"
                assert "admin" in json.loads(answers.readline())["result"]


def test_attach_evaluates_the_expressions_that_operators_use(tmp_path: Path) -> None:
    with geth(tmp_path) as node:
        node.wait_until_in_sync()
        evaluated = {
            expression: run("geth", "attach", "--exec", expression, node.ipc, home=tmp_path).stdout.strip()
            for expression in ("eth.syncing", "net.peerCount", "admin.peers.length", "eth.blockNumber")
        }
        assert evaluated.pop("eth.blockNumber").isdigit()
        assert evaluated == {"eth.syncing": "false", "net.peerCount": "1", "admin.peers.length": "1"}
        other = run("geth", "attach", "--exec", "1+1", node.ipc, home=tmp_path)
        assert other.returncode == 1
        assert "eth.syncing" in other.stderr


def test_attach_without_a_node_says_so(tmp_path: Path) -> None:
    result = run("geth", "--datadir", str(tmp_path), "attach", "--exec", "eth.syncing", home=tmp_path)
    expected = f"dial unix {tmp_path}/geth.ipc: connect: no such file or directory\n"
    assert (result.returncode, result.stderr) == (1, "Fatal: Unable to attach to remote geth: " + expected)


def test_websocket_lets_a_client_of_2018_in_and_refuses_a_foreign_origin(tmp_path: Path) -> None:
    with geth(tmp_path) as node:
        with closing(RpcClient(f"ws://127.0.0.1:{node.websocket}")) as client:
            assert client.call("net_version") == "1"
        request = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAA\r\n%s\r\n"
        for origin in (b"", b"Origin: http://evil.example\r\n"):
            with socket.create_connection(("127.0.0.1", node.websocket), timeout=10) as connection:
                connection.sendall(request % origin)
                assert connection.recv(100).startswith(b"HTTP/1.1 403")


def test_websocket_with_a_star_lets_everybody_in(tmp_path: Path) -> None:
    with (
        geth(tmp_path, "--wsorigins", "*") as node,
        socket.create_connection(("127.0.0.1", node.websocket)) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAA\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 101")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_clean_and_the_next_start_goes_on_where_it_was(tmp_path: Path, number: signal.Signals) -> None:
    with geth(tmp_path) as node:
        node.wait_until_in_sync()
        head = node.head
        assert node.program.stop(number) == 0
        assert "Got interrupt, shutting down..." in node.program.log
        assert not Path(node.ipc).exists()
    with geth(tmp_path, GETH_STANDIN_PEER_SECONDS="60") as again:
        assert again.head >= head


def test_further_signals_count_down_and_the_eleventh_panics(tmp_path: Path) -> None:
    with geth(tmp_path, GETH_STANDIN_STOP_SECONDS="30") as node:
        node.program.send(signal.SIGTERM)
        node.program.wait_for_log("Got interrupt")
        for left in range(9, 0, -1):
            node.program.send(signal.SIGTERM)
            node.program.wait_for_log(f"times={left}\n")
        assert node.program.stop(signal.SIGTERM) == 2
        assert "panic: boom" in node.program.log


def test_a_slow_stop_takes_as_long_as_it_was_told(tmp_path: Path) -> None:
    with geth(tmp_path, GETH_STANDIN_STOP_SECONDS="1") as node:
        began = time.monotonic()
        assert node.program.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began >= 1


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_a_sudden_death_leaves_the_socket_and_the_next_start_replaces_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    with geth(tmp_path) as node:
        assert node.program.stop(number) == -number
        assert Path(node.ipc).exists()
    with geth(tmp_path) as again, closing(RpcClient(again.ipc)) as client:
        assert client.call("net_version") == "1"


def test_a_killed_light_node_keeps_its_headers_and_a_killed_full_node_does_not(tmp_path: Path) -> None:
    heads = {}
    for mode in ("light", "full"):
        words = ("--syncmode", mode)
        fresh = {"GETH_STANDIN_FRESH_BLOCKS": "0"}  # nothing to catch up with, so that full mode begins at once
        with geth(tmp_path, *words, datadir=mode, **fresh) as node:
            _wait_for_blocks(node, 10)
            node.program.stop(signal.SIGKILL)
        log = tmp_path / mode / "geth" / "chaindata" / "000001.log"
        heads[mode] = len(log.read_text().splitlines())
    assert heads["light"] >= 5
    assert heads["full"] == 0


def _wait_for_blocks(node: Geth, count: int) -> None:
    first = node.head
    wait_for(f"{count} blocks", lambda: node.head >= first + count)


def test_a_torn_last_line_of_the_chain_is_cut_off(tmp_path: Path) -> None:
    chaindata = tmp_path / "geth-data" / "geth" / "chaindata"
    chaindata.mkdir(parents=True)
    (chaindata / "000001.log").write_bytes(b"124000000\n124000001\n12400")
    with geth(tmp_path, GETH_STANDIN_PEER_SECONDS="60") as node:
        assert node.head == 124000001
        assert "Truncated torn chain log entry" in node.program.log


def test_the_data_directory_is_private_and_belongs_to_one_process(tmp_path: Path) -> None:
    with geth(tmp_path) as node:
        modes = {name: stat.S_IMODE((node.datadir / name).stat().st_mode) for name in ("", "geth", "keystore")}
        assert modes == {"": 0o700, "geth": 0o700, "keystore": 0o700}
        assert stat.S_IMODE((node.datadir / "geth" / "nodekey").stat().st_mode) == 0o600
        second = run("geth", "--datadir", str(node.datadir), "--port", str(free_port()), home=tmp_path)
        text = "Fatal: Error starting protocol stack: datadir already used by another process\n"
        assert (second.returncode, second.stderr) == (1, text)


def test_a_port_that_is_taken_ends_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("geth", "--datadir", str(tmp_path), "--port", str(port), home=tmp_path)
    assert result.returncode == 1
    assert f"Fatal: Error starting protocol stack: listen tcp :{port}: bind: address already in use" in result.stderr


def test_a_socket_path_that_is_too_long_ends_it(tmp_path: Path) -> None:
    datadir = tmp_path / ("d" * 108)
    result = run("geth", "--datadir", str(datadir), "--port", str(free_port()), home=tmp_path)
    assert result.returncode == 1
    assert "longer than 108 characters" in result.stderr
    assert f"Fatal: Error starting protocol stack: listen unix {datadir}/geth.ipc" in result.stderr


def test_a_stalled_node_answers_with_an_aging_head_and_goes_on_when_the_stall_ends(tmp_path: Path) -> None:
    with geth(tmp_path) as node:
        node.wait_until_in_sync()
        stall = node.datadir / "geth" / "STALL"
        stall.write_text("")
        frozen = wait_for("a frozen head", lambda: _same_head_twice(node))
        assert (node.call("eth_syncing"), node.call("net_peerCount")) == (False, "0x1")
        stall.write_text("no-peers")
        assert node.call("net_peerCount") == "0x0"
        gas = node.post('{"id":1,"method":"eth_gasPrice"}')
        assert gas["error"] == {"code": -32000, "message": "no suitable peers available"}
        stall.unlink()
        wait_for("new blocks", lambda: node.head > frozen)


def test_a_stall_of_one_process_ends_with_it_and_another_stays(tmp_path: Path) -> None:
    with geth(tmp_path) as node:
        node.wait_until_in_sync()
        stall = node.datadir / "geth" / "STALL"
        stall.write_text('{"until-restart": true}')
        frozen = wait_for("a frozen head", lambda: _same_head_twice(node))
    with geth(tmp_path) as node:
        wait_for("new blocks", lambda: node.head > frozen)
        assert not stall.exists()
        stall.write_text('{"until-restart": true, "no-peers": true}')
    with geth(tmp_path) as node:
        assert json.loads(stall.read_text()) == {"no-peers": True}
        assert node.call("net_peerCount") == "0x0"


def _same_head_twice(node: Geth) -> int:
    first, until = node.head, time.monotonic() + 0.6
    wait_for("three blocks' time", lambda: time.monotonic() > until)
    return first if node.head == first else 0


def test_the_peer_port_is_open_and_a_metrics_port_only_on_demand(tmp_path: Path) -> None:
    port, metrics = free_port(), free_port()
    words = ("--datadir", str(tmp_path / "d"), "--port", str(port), "--metrics", "--pprof", "--pprofport", str(metrics))
    with started("geth", *words, home=tmp_path) as program:
        program.wait_for_log("Starting pprof server")
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/debug/metrics", timeout=10) as response:
            assert json.loads(response.read())["chain/head/block"] > 0
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{metrics}/debug/metrics/prometheus", timeout=10)
        refused.value.close()


def test_without_ipc_there_is_no_socket(tmp_path: Path) -> None:
    with geth(tmp_path, "--ipcdisable") as node, pytest.raises(Unreachable, match="no such file or directory"):
        RpcClient(node.ipc).dial()
