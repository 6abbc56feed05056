"""What the lab's time service answers: RFC 5905, read back with the formula that every client uses."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from lab import ntp

NOON = 1_700_000_000 * ntp.NANOSECONDS
REQUEST = bytes([0b00_100_011, 0, 4, 0xEC]) + bytes(36) + bytes(range(1, 9))


def seconds(stamp: bytes) -> float:
    """Return a 64-bit timestamp as seconds since 1970."""
    whole, fraction = struct.unpack(">II", stamp)
    return float(whole - ntp.EPOCH_OFFSET + fraction / 2**32)


def answered(request: bytes = REQUEST) -> bytes:
    answer = ntp.answer(request, NOON, lambda: NOON + 250_000_000, -20)
    assert answer is not None
    return answer


def test_the_answer_is_a_server_s_of_the_client_s_version() -> None:
    for version in (3, 4):
        asked = bytes([version << 3 | ntp.CLIENT]) + REQUEST[1:]
        assert answered(asked)[0] == version << 3 | ntp.SERVER


def test_the_client_finds_its_own_time_again_and_when_its_packet_came_and_went() -> None:
    answer = answered()
    assert answer[24:32] == REQUEST[40:48]
    assert seconds(answer[32:40]) == pytest.approx(1_700_000_000)
    assert seconds(answer[40:48]) == pytest.approx(1_700_000_000.25)


def test_the_clock_is_said_to_be_set_not_long_ago_and_no_later_than_now() -> None:
    assert 0 <= 1_700_000_000 - seconds(answered()[16:24]) < ntp.SECONDS_BETWEEN_SETTINGS


def test_chrony_may_believe_it() -> None:
    first, stratum, _, precision = struct.unpack(">BBbb", answered()[:4])
    delay, dispersion = (value / 2**16 for value in struct.unpack(">II", answered()[4:12]))
    assert first >> 6 == 0, "a leap indicator of 3 says: do not follow me"
    assert 1 <= stratum < 16
    assert precision == -20
    assert delay == 0
    assert 0 < dispersion < 0.001


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        REQUEST[:47],
        bytes([0b00_100_100]) + REQUEST[1:],  # a server's: two servers must not answer each other for ever
        bytes([0b00_000_011]) + REQUEST[1:],  # version 0
        bytes([0b00_110_110]) + REQUEST[1:],  # a control message
    ],
)
def test_what_is_no_client_s_packet_is_not_answered(packet: bytes) -> None:
    assert ntp.answer(packet, NOON, lambda: NOON, -20) is None


def test_an_authenticator_behind_the_packet_is_passed_over() -> None:
    assert len(answered(REQUEST + bytes(20))) == 48


def test_the_seconds_of_ntp_go_round_in_2036() -> None:
    assert ntp.timestamp((2**32 - ntp.EPOCH_OFFSET) * ntp.NANOSECONDS) == bytes(8)


def test_a_clock_s_precision_is_at_least_the_time_of_its_smallest_step() -> None:
    ticks = iter(range(0, 1_000_000_000, 1_000_000))
    assert ntp.precision(lambda: next(ticks)) == -9
    assert ntp.precision(lambda: 0) >= -30


@pytest.fixture
def server() -> Iterator[ntp.TimeServer]:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    server = ntp.TimeServer(bound, clock=lambda: NOON)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_server_goes_on_after_nonsense(server: ntp.TimeServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(server.server_address)
        client.send(b"nonsense")
        client.send(REQUEST)
        assert seconds(client.recv(100)[40:48]) == pytest.approx(1_700_000_000)
