"""What an operator reads when something fails, and the exit code a script sees."""

from __future__ import annotations

import pytest

from transcoder.errors import BadSettings, Failed, Refused, TranscoderError, Unreachable


@pytest.mark.parametrize(("error", "code"), [(Refused, 3), (BadSettings, 3), (Failed, 4), (Unreachable, 5)])
def test_each_family_has_its_exit_code(error: type[TranscoderError], code: int) -> None:
    assert error("it is so").exit_code == code
    assert isinstance(error("it is so"), TranscoderError)


def test_a_refusal_names_every_reason_then_the_next_command() -> None:
    error = Refused("volume vol-1 stays as it is", reasons=["it holds ext4", "it is in use"], hint="fab status")
    assert str(error).splitlines() == [
        "volume vol-1 stays as it is",
        "  - it holds ext4",
        "  - it is in use",
        "hint: fab status",
    ]


def test_a_failure_says_what_stands_already() -> None:
    error = Failed("geth did not stop", done=["stop livepeer", "umount /d1"], hint="fab migrate --to b")
    assert error.lines() == [
        "geth did not stop",
        "done before it: stop livepeer, umount /d1",
        "hint: fab migrate --to b",
    ]


@pytest.mark.parametrize("error", [TranscoderError, Refused, BadSettings, Failed, Unreachable])
def test_without_more_to_say_an_error_is_one_line(error: type[TranscoderError]) -> None:
    assert error("it is so").lines() == ["it is so"]


def test_an_error_keeps_its_data_for_json() -> None:
    assert Refused("no", reasons=["a", "b"]).reasons == ("a", "b")
    assert Failed("no", done=["a"]).done == ("a",)
    assert Unreachable("no answer", hint="try again").hint == "try again"
