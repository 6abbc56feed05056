"""Board, loop, pages: what people, load balancers, systemd and Prometheus see."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from watch import main, show
from watch.board import Board, Shown
from watch.loop import Loop, Timing
from watch.model import Gauge, Item, NoAnswer, Node, Reading
from watch.server import Server
from watch.store import Store

from tests.unit.watch.machine import ALARM, NOW, OK, UNKNOWN, WARN, Machine
from transcoder.checks import BY_NAME, patience

IDENTITY = {"environment": "lab", "node": "tc001"}


def board_with(*readings: Reading, steady: float = 0.0) -> Board:
    board = Board(patience({}), "docs/runbooks/")
    board.take("probe", list(readings), steady)
    return board


def reading(check: str = "clock", level: int = OK, subject: str = "", message: str = "as it is") -> Reading:
    return Reading(check, subject, level, 1.5, message)


def shown(board: Board, steady: float) -> dict[str, int]:
    return {item.reading.check: item.level for item in board.shown(steady, NOW)}


def test_a_check_turns_red_after_its_own_seconds() -> None:
    board = board_with(reading("clock"), reading("unit"))
    for steady in range(10, 131, 10):
        board.take("probe", [reading("clock", ALARM), reading("unit", ALARM)], steady)
        if steady == 69:
            assert shown(board, steady) == {"clock": OK, "unit": OK}
        if steady == 70:
            assert shown(board, steady) == {"clock": OK, "unit": ALARM}

    assert shown(board, 130) == {"clock": ALARM, "unit": ALARM}


def test_what_a_probe_does_not_see_any_more_is_unknown_and_says_why() -> None:
    board = board_with(reading())
    board.take("probe", [], 10, "chronyc does not answer")
    board.take("probe", [], 400, "chronyc does not answer")

    (found,) = board.shown(400, NOW)
    assert (found.level, found.reading.message) == (UNKNOWN, "chronyc does not answer")


def test_since_is_the_time_of_day_though_it_is_counted_by_another_clock() -> None:
    (found,) = board_with(reading(), steady=100).shown(160, NOW)

    assert found.since == NOW - 60


def test_the_worst_comes_first_with_its_runbook() -> None:
    board = board_with(reading("clock"), reading("slashed", ALARM), reading("reboot", WARN))

    found = [item.to_json() for item in board.shown(0, NOW)]

    assert [(item["check"], item["state"]) for item in found] == [
        ("slashed", "alarm"),
        ("reboot", "warn"),
        ("clock", "ok"),
    ]
    assert found[0]["runbook"] == "docs/runbooks/slashed.md"
    assert found[0]["title"] == BY_NAME["slashed"].title


@pytest.mark.parametrize(
    ("readings", "status"),
    [
        ([reading()], 200),
        ([reading(), reading("reboot", WARN)], 200),
        ([reading(), reading("slashed", ALARM)], 503),
        ([], 503),
        ([reading(), reading("unit", ALARM)], 503),  # not yet in alarm, but it was never well
    ],
)
def test_health_is_503_in_alarm_and_while_nothing_is_known(readings: list[Reading], status: int) -> None:
    found, body = show.health(board_with(*readings).shown(0, NOW), IDENTITY, NOW)

    assert found == status
    assert json.loads(body)["healthy"] is (status == 200)
    assert json.loads(body)["node"] == "tc001"


def test_the_line_for_systemctl_names_what_is_wrong_first() -> None:
    board = board_with(reading("clock"), reading("slashed", ALARM, message="slashed in block 7"))

    assert show.status_line(board.shown(0, NOW)) == "1 of 2 ok; alarm slashed: slashed in block 7"
    assert show.status_line(board_with(reading(), reading("mount", ALARM, "geth")).shown(0, NOW)) == (
        "1 of 2 ok; unknown: mount/geth"
    )


def test_metrics_are_in_prometheus_format() -> None:
    board = board_with(reading("clock"), reading("space", WARN, "geth"))
    gauges = [Gauge("open_files", {"service": 'a"b\\c\n'}, 3), Gauge("unit_restarts_total", {}, 2)]

    text = show.metrics(board.shown(0, NOW), gauges, IDENTITY)

    assert 'transcoder_info{environment="lab",node="tc001"} 1\n' in text
    assert 'transcoder_check_state{check="clock",subject=""} 0.0\n' in text
    assert 'transcoder_check_state{check="space",subject="geth"} 1.0\n' in text  # its minute has not passed
    assert 'transcoder_open_files{service="a\\"b\\\\c\\n"} 3.0\n' in text
    assert "# TYPE transcoder_unit_restarts_total counter\n" in text
    assert "\ntranscoder_healthy 1\n" in text


def until(check: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def get(url: str) -> Any:
    return urllib.request.urlopen(url, timeout=5)  # noqa: S310  our own


class Steady:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_probe_that_hangs_hangs_alone_and_is_told(tmp_path: Path) -> None:
    machine, board, steady, free = Machine(tmp_path), board_with(), Steady(), threading.Event()
    begun = []

    def hanging(node: Node) -> Iterator[Item]:
        begun.append(steady())
        yield reading("mount", OK, "livepeer")
        free.wait(30)

    def quick(node: Node) -> Iterator[Item]:
        yield reading("clock")

    timing = Timing(interval=10, deadline=20)
    loop = Loop(machine.node, board, {"hanging": hanging, "quick": quick}, {"hanging": timing, "quick": timing})
    for steady.now in range(0, 200, 5):
        loop.tick(steady)
        until(lambda: shown(board, steady.now).get("clock") == OK)
        time.sleep(0.002)
    states = {f"{i.reading.check}/{i.reading.subject}": i for i in board.shown(steady.now, NOW)}
    free.set()

    assert begun == [0]
    assert states["watch/hanging"].level == ALARM
    assert "no answer for 195 s" in states["watch/hanging"].reading.message
    assert states["watch/quick"].level == OK


def test_when_every_look_hangs_the_watch_says_that_it_does_not_work(tmp_path: Path) -> None:
    machine, board, steady, free = Machine(tmp_path), board_with(), Steady(), threading.Event()

    def hanging(node: Node) -> Iterator[Item]:
        free.wait(30)
        yield reading()

    loop = Loop(machine.node, board, {"hanging": hanging}, {"hanging": Timing(10, 20)})
    assert [loop.tick(steady), loop.tick(steady)] == [False, False]
    free.set()
    until(lambda: loop.tick(steady))
    steady.now = 61

    assert not loop._runners[0].ended_within(60, steady())


def failing(node: Node) -> Iterator[Item]:
    yield reading("clock")
    raise NoAnswer("nobody is there")


def broken(node: Node) -> Iterator[Item]:
    yield reading("clock")
    raise KeyError("a bug")


def test_what_a_probe_saw_before_it_failed_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = Machine(tmp_path).look(failing)
    assert (found["clock"].level, found[""].message) == (OK, "nobody is there")

    found = Machine(tmp_path).look(broken)
    assert (found["clock"].level, "KeyError" in found[""].message) == (OK, True)
    assert "Traceback" in capsys.readouterr().err


def test_the_server_has_two_pages_and_no_other() -> None:
    pages = {"/health": lambda: (503, "application/json", "{}"), "/metrics": lambda: (200, "text/plain", "x 1\n")}
    server = Server("127.0.0.1", 0, pages)
    server.start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with get(base + "/metrics?x=1") as response:
            assert response.read() == b"x 1\n"
        for path, status in (("/health", 503), ("/", 404), ("/../etc/passwd", 404)):
            with pytest.raises(urllib.error.HTTPError) as caught:
                get(base + path)
            assert caught.value.code == status
            caught.value.close()
    finally:
        server.shutdown()
        server.server_close()


def test_what_it_remembers_outlives_a_restart_and_a_torn_file_does_not_stop_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "memory.json"
    store = Store(str(path))
    store.sample("free", NOW, 5.0)
    store.put("round", [100, NOW])
    store.save()

    assert Store(str(path)).value("round") == [100, NOW]
    assert Store(str(path)).sample("free", NOW + 900, 4.0) == [(NOW, 5.0), (NOW + 900, 4.0)]
    path.write_text("{")
    assert Store(str(path)).value("round") is None
    assert "begun anew" in capsys.readouterr().err


def test_samples_are_kept_seven_days_and_a_clock_that_is_set_back_does_no_harm() -> None:
    store = Store()
    for number in range(1000):
        series = store.sample("free", NOW + 900 * number, 1.0)
    assert len(series) == 672

    assert store.sample("free", NOW, 1.0)[-1] == (NOW, 1.0)


@pytest.mark.parametrize(("environment", "absent"), [("bionic-2018", {"rpc"}), ("arbitrum", {"geth"})])
def test_a_node_has_the_probes_that_make_sense_on_it(tmp_path: Path, environment: str, absent: set[str]) -> None:
    from transcoder.settings import load

    machine = Machine(tmp_path, load(environment))
    everything = {
        "units",
        "volumes",
        "livepeer",
        "clock",
        "image",
        "counted",
        "service",
        "geth",
        "rpc",
        "money",
        "rounds",
    }

    assert set(main.probes_of(machine.config)) == everything - absent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_watch_tells_systemd_that_it_is_alive_and_how_all_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path / "root")
    machine.config["listen"]["port"] = free_port()
    machine.config["livepeer"]["base"] = machine.config["geth"]["url"] = machine.config["rpc"] = "http://127.0.0.1:1"
    told: list[str] = []
    monkeypatch.setattr(main, "notify", told.append)
    monkeypatch.setattr(main, "TOLD_EVERY", 1.0)
    watch = main.Watch(machine.config, str(machine.root), str(tmp_path / "memory.json"))
    stopping = threading.Event()
    thread = threading.Thread(target=watch.run, args=(stopping,))
    thread.start()
    try:
        until(lambda: len(told) > 2)
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(f"http://127.0.0.1:{machine.config['listen']['port']}/health")
        body = json.loads(caught.value.read())
        caught.value.close()
    finally:
        stopping.set()
        thread.join(10)
        watch.server.shutdown()
        watch.server.server_close()

    assert told[0] == "READY=1"
    assert told[-1].startswith("WATCHDOG=1\nSTATUS=")
    assert (body["node"], body["environment"], body["healthy"]) == ("tc001", "bionic-2018", False)
    assert {item["check"] for item in body["checks"]} >= {"geth-rpc", "livepeer-api", "mount", "watch"}
    assert (tmp_path / "memory.json").exists()


def test_a_wrong_configuration_ends_the_watch_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "watch.json").write_text("{}")

    assert main.main(["--config", str(tmp_path / "watch.json")]) == 78
    assert "cannot start with" in capsys.readouterr().err


def test_what_is_shown_is_a_record_of_one_check() -> None:
    (found,) = board_with(reading()).shown(0, NOW)

    assert isinstance(found, Shown)
    assert found.to_json()["now"] == "ok"
