"""The node restarts itself, with no operator's machine: in the order that `fab restart` has, and only what is due."""

from __future__ import annotations

from tests.rehearsals.rig import Rig
from tests.rehearsals.test_8_a_night import GETH_UNIT, LIVEPEER_UNIT, pids, turns
from transcoder.layout import NIGHTLY_TIMER, NIGHTLY_UNIT

CONFIGURATION = "/etc/transcoder/watch.json"


def said(rig: Rig, name: str) -> list[str]:
    """Return what the program has written since the machine booted."""
    return rig.on(name, "journalctl", "--boot", "--output=cat", f"--identifier={NIGHTLY_UNIT[:-8]}").splitlines()


def set_max_age(rig: Rig, name: str, seconds: int) -> None:
    rig.on(name, "sed", "-i", f's/"max_age_seconds": [0-9.]*/"max_age_seconds": {seconds}/', CONFIGURATION)


def test_it_is_off_until_an_environment_says_when_and_leaves_alone_what_is_young(node: Rig) -> None:
    name = node.status()["name"]
    assert node.on(name, "systemctl", "is-enabled", NIGHTLY_TIMER, ok=(1,)).strip() == "disabled"
    before = pids(node, name)

    node.on(name, "systemctl", "start", NIGHTLY_UNIT)

    assert pids(node, name) == before
    assert [line.endswith("left alone") for line in said(node, name)] == [True, True, False]


def test_it_restarts_geth_then_livepeer_and_systemd_lets_it_without_any_capability(node: Rig) -> None:
    name = node.status()["name"]
    node.run("fab", "reward", "--yes", expect=None)  # refused where it was called already
    before = pids(node, name)
    since = node.on(name, "date", "+%Y-%m-%d %H:%M:%S").strip()
    set_max_age(node, name, 0)
    try:
        node.on(name, "systemctl", "start", NIGHTLY_UNIT)
    finally:
        set_max_age(node, name, 43200)

    after = pids(node, name)
    assert all(after[unit] not in ("0", before[unit]) for unit in before)
    assert turns(node, name, since) == [
        *((GETH_UNIT, "Stopped"), (GETH_UNIT, "Started")),
        *((LIVEPEER_UNIT, "Stopped"), (LIVEPEER_UNIT, "Started")),
    ]
    assert said(node, name)[-2:] == [f"livepeer answers as {node.status()['address'].lower()}", "done"]
    assert node.status()["healthy"]
