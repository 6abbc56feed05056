"""A verification: its machine goes whatever happens, so does what a run that died has left, and the mark is earned."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from packer.verify import command, stand, suite
from packer.verify.check import Subject, Wrong
from packer.verify.suite import CHECKS, digest, title_of
from tests.simulated.world import ENVIRONMENT, WEST, Simulation
from transcoder import tags
from transcoder.errors import Failed, Interrupted, Refused
from transcoder.model import Image
from transcoder.report import TerminalConsole
from transcoder.world import LaunchRequest

AMI = Image(
    "ami-1", "fresh", "available", "2026-06-01T00:00:00Z", tags={tags.ENVIRONMENT: ENVIRONMENT, tags.DIGEST: "d"}
)


def passes(_subject: Subject) -> str:
    """it is there"""
    return "all of it"


def fails(_subject: Subject) -> str:
    """it is whole"""
    raise Wrong("half of it")


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Simulation:
    made = Simulation()
    made.cloud.amis["ami-1"] = AMI
    monkeypatch.setattr(suite, "CHECKS", (passes,))
    return made


def verify(sim: Simulation) -> command.Verified:
    return command.verify(sim.world, sim.cloud.amis["ami-1"], TerminalConsole(yes=True))


def launches(sim: Simulation) -> list[LaunchRequest]:
    return [call.arguments[0] for call in sim.cloud.calls if call.name == "launch"]  # type: ignore[misc]


def test_an_image_that_passes_is_marked_with_the_time_and_the_list_of_checks(sim: Simulation) -> None:
    assert verify(sim).passed
    when, checks = sim.cloud.amis["ami-1"].tags[tags.VERIFIED].split()
    assert when.endswith("Z") and checks == digest()[:12]
    assert sim.cloud.machines == {}
    (request,) = launches(sim)
    assert request.temporary and request.tags[tags.ROLE] == "verify"
    assert "shutdown -P +60" in request.user_data


def test_an_image_that_fails_loses_its_mark_and_so_do_its_copies(
    sim: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    west = Simulation(beside=sim)
    monkeypatch.setattr(suite, "CHECKS", (fails, passes))
    known = {**AMI.tags, tags.VERIFIED: "2026-06-01T00:01:00Z 0123"}
    sim.cloud.regions[WEST] = west.cloud
    sim.cloud.amis["ami-1"] = replace(AMI, tags={**known, tags.COPIED_TO: WEST})
    west.cloud.amis["ami-2"] = replace(AMI, id="ami-2", tags={**known, tags.COPY_OF: "ami-1"})
    verified = verify(sim)
    assert [finding.passed for finding in verified.findings] == [False, True], "the others are looked at all the same"
    assert not sim.cloud.amis["ami-1"].verified
    assert not west.cloud.amis["ami-2"].verified
    with pytest.raises(Failed, match="it is whole: half of it") as caught:
        command.raise_if_failed(verified)
    assert caught.value.exit_code == 4


def bug(_subject: Subject) -> str:
    raise KeyError("a bug")


def interrupt(_subject: Subject) -> str:
    raise KeyboardInterrupt


def terminated(_subject: Subject) -> str:
    os.kill(os.getpid(), signal.SIGTERM)
    return "never returned"


@pytest.mark.parametrize(("check", "error"), [(bug, KeyError), (interrupt, Interrupted), (terminated, Interrupted)])
def test_the_machine_is_terminated_whatever_happens(
    sim: Simulation, monkeypatch: pytest.MonkeyPatch, check: Callable[[Subject], str], error: type[BaseException]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(suite, "CHECKS", (check,))
    with pytest.raises(error):
        verify(sim)
    assert sim.cloud.machines == {}
    assert not sim.cloud.amis["ami-1"].verified
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_machine_that_does_not_boot_is_terminated(sim: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transcoder.actions.guest.has_booted", lambda *_: False)
    with pytest.raises(Failed, match="booted: not so after"):
        verify(sim)
    assert sim.cloud.machines == {}


def test_what_a_killed_run_left_is_removed_by_the_next_one_and_a_node_is_not(sim: Simulation) -> None:
    left = sim.instance("verify-0123abcd", {tags.ROLE: stand.ROLE})
    node = sim.instance("tc001", {tags.ROLE: "node"})
    assert verify(sim).passed
    assert left.id not in sim.cloud.machines
    assert node.id in sim.cloud.machines


def test_a_second_verification_at_the_same_time_is_refused(sim: Simulation) -> None:
    def held(_subject: Subject) -> str:
        with pytest.raises(Refused, match="is locked"):
            command.verify_ami(sim.world, "ami-1", yes=True, dry_run=False, json_output=False)
        return "refused"

    suite.CHECKS = (held,)
    command.verify_ami(sim.world, "ami-1", yes=True, dry_run=False, json_output=False)
    assert len(launches(sim)) == 1


@pytest.mark.parametrize(
    "change", [{tags.ENVIRONMENT: "other", tags.DIGEST: "d"}, {tags.ENVIRONMENT: ENVIRONMENT}], ids=["other", "no bake"]
)
def test_an_image_that_is_not_ours_is_refused(sim: Simulation, change: dict[str, str]) -> None:
    sim.cloud.amis["ami-2"] = replace(AMI, id="ami-2", tags=change)
    with pytest.raises(Refused, match="ami-2 is not an available image of environment simulated"):
        command.chosen(sim.world, "ami-2")
    assert command.chosen(sim.world, "").id == "ami-1"


def test_the_report_is_json_with_every_check(sim: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    command.verify_ami(sim.world, "", yes=True, dry_run=False, json_output=True)
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (printed["ami"], printed["verified"]) == ("ami-1", True)
    assert [(each["title"], each["passed"], each["found"]) for each in printed["checks"]] == [
        ("it is there", True, "all of it")
    ]


def test_the_report_for_people_names_every_check_and_what_it_found(
    sim: Simulation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "CHECKS", (passes, fails))
    with pytest.raises(Failed):
        command.verify_ami(sim.world, "", yes=True, dry_run=False, json_output=False)
    out = capsys.readouterr().out
    assert all(
        text in out for text in ("it is there", "all of it", "it is whole", "half of it", "1 of 2 checks failed")
    )


def test_a_dry_run_lists_the_checks_and_launches_nothing(sim: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    command.verify_ami(sim.world, "", yes=False, dry_run=True, json_output=False)
    assert "it is there" in capsys.readouterr().out
    assert launches(sim) == []


def test_every_check_says_in_one_line_what_it_is_about_and_the_digest_depends_on_the_list() -> None:
    titles = [title_of(check) for check in CHECKS]
    assert len(set(titles)) == len(titles) > 15
    assert all(title and "\n" not in title for title in titles)
    assert digest(CHECKS) != digest(CHECKS[1:])


def test_remembered_host_keys_are_read_by_instance() -> None:
    text = "# note\ni-1 ssh-ed25519 AAAA\ni-1 ssh-rsa BBBB\ni-2 ssh-ed25519 CCCC\n"
    assert command.remembered(text) == {
        "i-1": frozenset({"ssh-ed25519 AAAA", "ssh-rsa BBBB"}),
        "i-2": frozenset({"ssh-ed25519 CCCC"}),
    }
