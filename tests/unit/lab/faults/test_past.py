"""Showing EC2 as it was: which state a time has, and that nothing later shows through."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from types import SimpleNamespace
from typing import Any

import pytest

from lab.faults.past import History, shown, take


def test_a_time_has_the_newest_state_that_is_not_younger() -> None:
    history = History[str](seconds=10)
    for now, state in ((0.0, "a"), (1.0, "b"), (2.0, "c")):
        history.add(now, state)
    assert [history.at(time) for time in (0.5, 1.0, 1.9, 5.0)] == ["a", "b", "b", "c"]


def test_before_the_first_state_there_is_the_first() -> None:
    history = History[str](seconds=10)
    history.add(5.0, "a")
    assert history.at(1.0) == "a"


def test_what_nobody_will_ask_for_is_forgotten_and_what_somebody_may_is_kept() -> None:
    history = History[int](seconds=2)
    for now in range(100):
        history.add(float(now), now)
    assert history.at(97.5) == 97
    assert history.at(97.0) == 97
    assert history.at(0.0) == 97


def test_nothing_kept_is_an_error_and_no_made_up_state() -> None:
    with pytest.raises(LookupError):
        History[str](seconds=1).at(0.0)


def backend() -> Any:
    """Return what looks like moto's backend: an instance with a volume, an address, a tag."""
    nic = SimpleNamespace(public_ip=None)
    mapping = SimpleNamespace(volume_id="vol-1", status="attached")
    instance = SimpleNamespace(
        _state=SimpleNamespace(name="running"), nics={0: nic}, block_device_mapping={"/dev/sdg": mapping}, id="i-1"
    )
    volume = SimpleNamespace(id="vol-1", attachment=SimpleNamespace(status="attaching"))
    return SimpleNamespace(
        reservations=OrderedDict(r=SimpleNamespace(instances=[instance])),
        volumes={"vol-1": volume},
        addresses=[SimpleNamespace(eni=None)],
        tags=defaultdict(dict, {"i-1": {"Name": "tc001"}}),
    )


def test_what_happens_later_does_not_show_in_what_was_kept() -> None:
    live = backend()
    kept = take(live)
    instance, volume = live.reservations["r"].instances[0], live.volumes["vol-1"]
    instance._state.name = "stopped"
    instance.nics[0].public_ip = "172.31.212.160"
    del instance.block_device_mapping["/dev/sdg"]
    volume.attachment.status = "attached"
    live.addresses[0].eni = object()
    live.tags["i-1"]["Name"] = "tc002"
    live.volumes["vol-2"] = object()
    with shown((kept,)):
        old = live.reservations["r"].instances[0]
        assert (old._state.name, old.nics[0].public_ip, list(old.block_device_mapping)) == (
            "running",
            None,
            ["/dev/sdg"],
        )
        assert {key: each.attachment.status for key, each in live.volumes.items()} == {"vol-1": "attaching"}
        assert (live.addresses[0].eni, live.tags["i-1"]) == (None, {"Name": "tc001"})
    assert live.reservations["r"].instances[0] is instance
    assert live.volumes["vol-1"] is volume
    assert "vol-2" in live.volumes


def test_what_is_comes_back_also_after_an_error() -> None:
    live = backend()
    volumes, kept = live.volumes, take(live)
    with pytest.raises(KeyError), shown((kept,)):
        raise KeyError
    assert live.volumes is volumes
