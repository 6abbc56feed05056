"""geth, livepeer, money, counts, the work port: each check green and red."""

from __future__ import annotations

import datetime
import json
import socket
import sqlite3
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from watch import counted, counts, geth, livepeer, money, service
from watch.model import NoAnswer

from tests.unit.watch.conftest import Rig
from tests.unit.watch.machine import ALARM, NOW, OK, WARN, levels

ETH = 10**18


def test_a_geth_that_follows_the_chain_is_well(rig: Rig) -> None:
    found = rig.machine.look(geth.look)

    assert levels(found) == {"geth-rpc": OK, "geth-peers": OK, "geth-head": OK, "geth-advancing": OK}


def test_a_geth_that_does_not_answer_is_red_and_nothing_else_is_claimed(rig: Rig) -> None:
    rig.machine.config["geth"]["url"] = "http://127.0.0.1:1"

    found = rig.machine.look(geth.look)

    assert (found["geth-rpc"].level, set(found)) == (ALARM, {"geth-rpc", ""})


def test_a_geth_without_peers_is_red_though_it_says_that_it_is_in_sync(rig: Rig) -> None:
    rig.answers.results["net_peerCount"] = "0x0"

    assert rig.machine.look(geth.look)["geth-peers"].level == ALARM


@pytest.mark.parametrize(("age", "level"), [(300, OK), (400, WARN), (700, ALARM), (-60, OK)])
def test_an_old_head_is_red(rig: Rig, age: int, level: int) -> None:
    rig.answers.results["eth_getBlockByNumber"] = {"number": "0x10", "timestamp": hex(int(NOW) - age)}

    assert rig.machine.look(geth.look)["geth-head"].level == level


def test_a_geth_at_the_genesis_block_is_red_whatever_its_age(rig: Rig) -> None:
    rig.answers.results["eth_getBlockByNumber"] = {"number": "0x0", "timestamp": hex(int(NOW))}

    assert rig.machine.look(geth.look)["geth-head"].level == ALARM


def test_a_head_that_stands_still_turns_red_by_the_time_it_stands(rig: Rig) -> None:
    found = []
    for seconds in (0, 299, 300, 600):
        rig.machine.now = NOW + seconds
        found.append(rig.machine.look(geth.look)["geth-advancing"].level)
    rig.contracts.head += 1

    assert found == [OK, OK, WARN, ALARM]
    assert rig.machine.look(geth.look)["geth-advancing"].level == OK


def test_eth_syncing_is_a_number_and_no_verdict(rig: Rig) -> None:
    rig.answers.results["eth_syncing"] = {"currentBlock": "0x1", "highestBlock": "0x2"}

    assert set(levels(rig.machine.look(geth.look)).values()) == {OK}
    assert rig.machine.gauges(geth.look)["geth_syncing"] == 1


def test_a_hosted_rpc_that_fails_is_red_and_its_address_is_not_told(arbitrum: Rig) -> None:
    assert arbitrum.machine.look(geth.look_at_hosted)["rpc"].level == OK
    arbitrum.machine.config["rpc"] = "http://127.0.0.1:1/v3/secret-key"

    found = arbitrum.machine.look(geth.look_at_hosted)["rpc"]

    assert found.level == ALARM
    assert "secret-key" not in found.message


def test_a_livepeer_that_answers_as_its_account_and_is_active_is_well(rig: Rig) -> None:
    found = rig.machine.look(livepeer.look)

    names = ("livepeer-api", "livepeer-address", "livepeer-registered", "sessions")
    assert levels(found) == dict.fromkeys(names, OK)


def test_an_empty_answer_of_livepeer_is_a_failure(rig: Rig) -> None:
    rig.answers.page(rig.machine.config["livepeer"]["status"], "")

    found = rig.machine.look(livepeer.look)

    assert (found["livepeer-api"].level, set(found)) == (ALARM, {"livepeer-api", ""})


def test_a_livepeer_with_another_account_is_red(rig: Rig) -> None:
    rig.answers.page("/ethAddr", "0x" + "ab" * 20)

    found = rig.machine.look(livepeer.look)["livepeer-address"]

    assert found.level == ALARM
    assert "0xabab" in found.message


@pytest.mark.parametrize(("active", "status"), [(False, "Registered"), (True, "Not Registered")])
def test_a_livepeer_that_is_not_registered_or_not_active_is_red(rig: Rig, active: bool, status: str) -> None:
    rig.answers.page("/transcoderInfo", {"Active": active, "Status": status, "LastRewardRound": 99})

    assert rig.machine.look(livepeer.look)["livepeer-registered"].level == ALARM


def test_a_livepeer_of_today_is_asked_its_own_routes(arbitrum: Rig) -> None:
    found = arbitrum.machine.look(livepeer.look)

    assert found["livepeer-registered"].level == OK
    assert arbitrum.machine.config["livepeer"]["own_record"] == "/orchestratorInfo"


@pytest.mark.parametrize(("busy", "level"), [(3, OK), (10, WARN)])
def test_sessions_are_counted_against_the_limit_where_livepeer_tells_one(arbitrum: Rig, busy: int, level: int) -> None:
    text = f'# HELP x\nlivepeer_current_sessions_total{{node="a"}} {busy}\nlivepeer_max_sessions_total 10\n'
    arbitrum.answers.page("/metrics", text)

    assert arbitrum.machine.look(livepeer.look)["sessions"].level == level


def test_streams_are_counted_where_there_is_no_limit(rig: Rig) -> None:
    rig.answers.page("/status", {"NodeID": "x", "Manifests": {"a": "1", "b": "2"}})

    assert rig.machine.look(livepeer.look)["sessions"].value == 2


@pytest.mark.parametrize(("wei", "level"), [(ETH, OK), (ETH // 50, WARN), (ETH // 200, ALARM)])
def test_little_eth_is_red(rig: Rig, wei: int, level: int) -> None:
    rig.answers.page("/ethBalance", str(wei))

    assert rig.machine.look(money.look)["eth-balance"].level == level


@pytest.mark.parametrize(("a_day", "level"), [(0.0, OK), (0.001, OK), (0.04, WARN), (0.12, ALARM)])
def test_how_long_the_eth_lasts_comes_from_what_was_spent(rig: Rig, a_day: float, level: int) -> None:
    balance = 1.0
    for _ in range(24 * 3):
        rig.answers.page("/ethBalance", str(int(balance * ETH)))
        found = rig.machine.look(money.look)["gas-days"]
        rig.machine.now += 3600
        balance -= a_day / 24

    assert found.level == level


def test_income_does_not_hide_what_is_spent(rig: Rig) -> None:
    balance = 0.5
    for hour in range(24 * 3):
        rig.answers.page("/ethBalance", str(int(balance * ETH)))
        found = rig.machine.look(money.look)["gas-days"]
        rig.machine.now += 3600
        balance += 0.1 if hour % 2 else -0.1

    assert found.level == ALARM


def write_counts(rig: Rig, **changes: object) -> None:
    files = {"geth": {"open": 100, "limit": 1000}}
    document = {"written": NOW, "files": files, "tickets": None, **changes}
    rig.machine.write(counted.FILE, json.dumps(document))


@pytest.mark.parametrize(("used", "level"), [(100, OK), (700, WARN), (900, ALARM)])
def test_many_open_files_are_red(rig: Rig, used: int, level: int) -> None:
    write_counts(rig, files={"livepeer": {"open": used, "limit": 1000}})

    assert levels(rig.machine.look(counted.look)) == {"open-files/livepeer": level}


@pytest.mark.parametrize(("hours", "level"), [(1, OK), (13, WARN), (31, ALARM)])
def test_winning_tickets_that_lie_are_red(rig: Rig, hours: float, level: int) -> None:
    write_counts(rig, tickets={"count": 2, "wei": ETH // 10, "oldest": NOW - hours * 3600})

    found = rig.machine.look(counted.look)["tickets"]

    assert found.level == level
    assert "0.100000 ETH" in found.message


def test_no_ticket_waits(rig: Rig) -> None:
    write_counts(rig, tickets={"count": 0, "wei": 0, "oldest": 0.0})

    assert rig.machine.look(counted.look)["tickets"].level == OK


def test_old_counts_say_nothing(rig: Rig) -> None:
    write_counts(rig, written=NOW - 301)

    assert "transcoder-counts.service" in rig.machine.look(counted.look)[""].message


def ticket_database(path: Path) -> None:
    """Make livepeer's table (go-livepeer v0.5.9 to v0.9.1, common/db.go) with one redeemed ticket and two others."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE ticketQueue (createdAt DATETIME DEFAULT CURRENT_TIMESTAMP, sender STRING, recipient STRING, "
            "faceValue BLOB, winProb BLOB, senderNonce INTEGER, recipientRand BLOB, recipientRandHash STRING, "
            "sig BLOB PRIMARY KEY, creationRound int64, creationRoundBlockHash STRING, paramsExpirationBlock int64, "
            "redeemedAt DATETIME, txHash STRING)"
        )
        insert = "INSERT INTO ticketQueue (createdAt, faceValue, sig, redeemedAt) VALUES (?, ?, ?, ?)"
        value = (10**15).to_bytes(8, "big")
        database.execute(insert, ("2026-11-22 05:00:00", value, b"1", "2026-11-22 06:00:00"))
        database.execute(insert, ("2026-11-22 07:00:00", value, b"2", None))
        database.execute(insert, ("2026-11-22 08:00:00", value, b"3", None))


def test_unredeemed_tickets_are_counted_in_livepeers_database(tmp_path: Path) -> None:
    ticket_database(tmp_path / "lpdb.sqlite3")

    found = counts.unredeemed(str(tmp_path / "lpdb.sqlite3"))

    assert (found["count"], found["wei"]) == (2, 2 * 10**15)
    assert found["oldest"] == 1795330800.0  # 2026-11-22 07:00 UTC


def test_the_database_is_left_alone_while_its_volume_is_moved(arbitrum: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = arbitrum.machine
    monkeypatch.setattr(counts, "run", lambda _: "MainPID=0\n")
    path = machine.write(machine.config["livepeer"]["tickets"], "")
    path.unlink()
    ticket_database(path)
    assert counts.count(machine.config, str(machine.root), NOW)["tickets"]["count"] == 2

    machine.write("/run/transcoder/hold/livepeer-transcoder.service", "")

    assert counts.count(machine.config, str(machine.root), NOW)["tickets"] is None


def test_open_files_of_a_process_are_counted_against_its_soft_limit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = rig.machine
    monkeypatch.setattr(counts, "run", lambda _: "MainPID=77\n")
    machine.write("/proc/77/limits", "Limit  Soft Limit  Hard Limit  Units\nMax open files  50000  60000  files\n")
    for number in range(3):
        machine.write(f"/proc/77/fd/{number}", "")

    found = counts.count(machine.config, str(machine.root), NOW)

    assert found["files"] == {"geth": {"open": 3, "limit": 50000}, "livepeer": {"open": 3, "limit": 50000}}
    assert found["tickets"] is None  # 0.2.4 has none


def test_a_work_port_that_nobody_serves_is_red(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        rig.machine.config["livepeer"]["work_port"] = server.getsockname()[1]
        assert levels(rig.machine.look(service.look)) == {"service-port": OK, "service-address": OK}

    assert rig.machine.look(service.look)["service-port"].level == ALARM


def self_signed(directory: Path, days: float) -> Path:
    """Write a key and a certificate that ends so many days after NOW."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "livepeer")])
    now = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(days=900))
    certificate = builder.not_valid_after(now + datetime.timedelta(days=days)).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    path = directory / "both.pem"
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(pem))
    return path


@contextmanager
def tls_port(certificate: Path) -> Iterator[int]:
    """Serve TLS handshakes on a port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                peer, _ = server.accept()
                with suppress(OSError), peer, context.wrap_socket(peer, server_side=True) as secure:
                    secure.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)


@pytest.mark.parametrize(("days", "level"), [(365, OK), (29, WARN), (6, ALARM), (-1, ALARM), (9000, OK)])
def test_a_certificate_that_ends_soon_is_red_whoever_signed_it(
    arbitrum: Rig, tmp_path: Path, days: float, level: int
) -> None:
    with tls_port(self_signed(tmp_path, days)) as port:
        arbitrum.machine.config["livepeer"] |= {"work_port": port, "service_uri": False, "announced": ""}
        found = arbitrum.machine.look(service.look)

    assert levels(found) == {"service-port": OK, "certificate": level}
    assert found["certificate"].value == pytest.approx(days, abs=0.01)


def test_a_port_that_speaks_no_tls_has_no_certificate_to_judge(rig: Rig) -> None:
    rig.machine.config["livepeer"] |= {"work_port": int(rig.answers.url.rpartition(":")[2]), "work_tls": True}

    found = rig.machine.look(service.look)

    assert (found["service-port"].level, "shows no certificate" in found[""].message) == (OK, True)


CERTIFICATE_TIMES = b"\x30\x1e\x17\x0d%s\x17\x0d%s"


def test_the_end_of_a_certificate_is_read() -> None:
    assert service.ends(b"junk" + CERTIFICATE_TIMES % (b"250101000000Z", b"270115080000Z")) == NOW
    assert service.ends(b"nothing of this kind") is None


@pytest.mark.parametrize(
    ("expected", "uri", "level"),
    [
        ("node.example:8935", "https://node.example:8935", OK),
        ("node.example:8935", "https://old.example:8935", ALARM),
        ("node.example:8935", "", WARN),
    ],
)
def test_the_address_on_the_chain_is_compared_with_the_environments(
    arbitrum: Rig, expected: str, uri: str, level: int
) -> None:
    arbitrum.machine.config["livepeer"]["service_address"] = expected
    record = {"Active": True, "Status": "Registered", "LastRewardRound": 1, "ServiceURI": uri}
    arbitrum.answers.page("/orchestratorInfo", {"Transcoder": record})

    assert service._address(arbitrum.machine.node).level == level


@pytest.mark.parametrize(("public", "level"), [("10.1.2.7", OK), ("10.1.2.8", ALARM), ("", ALARM)])
def test_the_address_on_the_chain_is_compared_with_that_of_the_machine(
    arbitrum: Rig, monkeypatch: pytest.MonkeyPatch, public: str, level: int
) -> None:
    record = {"Active": True, "Status": "Registered", "LastRewardRound": 1, "ServiceURI": "https://10.1.2.7:8935"}
    arbitrum.answers.page("/orchestratorInfo", {"Transcoder": record})
    monkeypatch.setattr(service, "own_address", lambda _: service.Own(public, "10.0.0.9"))

    assert service._address(arbitrum.machine.node).level == level


def test_the_machines_addresses_come_from_the_metadata_service(rig: Rig) -> None:
    where = rig.machine.config["metadata"]

    assert service.own_address(where) == ("10.1.2.7", "10.0.0.9")
    rig.answers.page("/latest/meta-data/public-ipv4", "", 404)
    assert service.own_address(where) == ("", "10.0.0.9")
    with pytest.raises(NoAnswer):
        service.own_address("127.0.0.1:1")


@pytest.mark.parametrize(
    ("public", "level", "said"),
    [
        ("10.1.2.7", OK, "livepeer tells others 10.1.2.7, which is this machine"),
        ("10.1.2.8", ALARM, "livepeer tells others 10.1.2.7, but this machine is 10.1.2.8"),
        ("", ALARM, "livepeer tells others 10.1.2.7, but this machine is 10.0.0.9 and has no public address"),
    ],
)
def test_before_0_4_the_address_counts_that_livepeer_was_started_with(
    rig: Rig, public: str, level: int, said: str
) -> None:
    rig.answers.page("/latest/meta-data/public-ipv4", public, 200 if public else 404)

    with socket.create_server(("127.0.0.1", 0)) as server:
        rig.machine.config["livepeer"]["work_port"] = server.getsockname()[1]
        found = rig.machine.look(service.look)["service-address"]

    assert (found.level, found.message) == (level, said)


def test_a_livepeer_that_has_not_come_to_its_start_tells_nothing_of_addresses(rig: Rig) -> None:
    rig.machine.write("/proc/4711/cmdline", "/usr/bin/python3\0check-volume\0livepeer")

    with socket.create_server(("127.0.0.1", 0)) as server:
        rig.machine.config["livepeer"]["work_port"] = server.getsockname()[1]
        found = rig.machine.look(service.look)

    assert "service-address" not in found
    assert "does not run with -publicIP" in found[""].message
