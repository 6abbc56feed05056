"""The downtime, as somebody outside sees it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.rehearsal.watch import BANNER, Answer, Watcher, measure, probe
from transcoder.errors import Failed


@contextmanager
def serving(said: bytes | None) -> Iterator[int]:
    """Listen on the loopback; say this to whoever comes and hang up, or with None say nothing and hold the line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                held.append(connection)
                if said is not None:
                    connection.sendall(said)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


def answers(*items: tuple[float, str]) -> list[Answer]:
    return [Answer(at, problem) for at, problem in items]


def test_downtime_is_from_the_last_good_answer_before_to_the_first_good_one_after() -> None:
    seen = measure(answers((0, ""), (1, ""), (1.5, "refused"), (9, "no answer"), (9.2, "refused"), (10, ""), (11, "")))
    assert seen.seconds == 9
    assert seen.outages[0].problems == ("refused", "no answer")
    assert (seen.asked, seen.good) == (7, 4)


def test_a_node_that_comes_up_and_goes_down_again_is_down_for_both_times() -> None:
    seen = measure(answers((0, ""), (1, "refused"), (2, ""), (3, ""), (4, "refused"), (6, "")))
    assert [outage.seconds for outage in seen.outages] == [2, 3]
    assert seen.seconds == 5


def test_a_node_that_always_answers_was_never_down() -> None:
    assert measure(answers((0, ""), (5, ""))).outages == ()


@pytest.mark.parametrize("ends", [(("refused", ""), ""), (("", "refused"), ""), (("refused",), "")])
def test_a_downtime_without_a_begin_or_an_end_is_not_guessed(ends: tuple[tuple[str, ...], str]) -> None:
    with pytest.raises(Failed, match="both ends"):
        measure([Answer(float(at), problem) for at, problem in enumerate(ends[0])])


def test_the_banner_of_libp2p_is_a_good_answer() -> None:
    with serving(BANNER) as port:
        assert probe("127.0.0.1", port) == ""


def test_another_server_at_the_port_is_not_the_node() -> None:
    with serving(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert "another banner" in probe("127.0.0.1", port)


def test_a_server_that_hangs_up_is_not_the_node() -> None:
    with serving(b"") as port:
        assert probe("127.0.0.1", port) == "closed without a banner"


def test_a_server_that_says_nothing_is_given_up() -> None:
    with serving(None) as port:
        assert probe("127.0.0.1", port, timeout=0.1) == "no answer in 0.1 s"


def test_a_closed_port_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    assert "refused" in probe("127.0.0.1", port)


def test_the_watcher_sees_an_outage_between_two_settled_times() -> None:
    down = threading.Event()
    with Watcher(lambda: "refused" if down.is_set() else "", interval=0.001) as watcher:
        watcher.settle(5)
        down.set()
        with pytest.raises(Failed, match="refused"):
            watcher.settle(0.05)
        down.clear()
        watcher.settle(5)
    seen = watcher.downtime()
    assert len(seen.outages) == 1
    assert 0.02 < seen.seconds < 5


def test_what_was_wrong_before_the_node_first_answered_is_no_downtime() -> None:
    given = iter(["refused"] * 3)
    with Watcher(lambda: next(given, ""), interval=0.001) as watcher:
        watcher.settle(5)
    assert watcher.downtime().outages == ()
