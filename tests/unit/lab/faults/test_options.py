"""What a fault can be told, and how it says no."""

from __future__ import annotations

import inspect
import re

import pytest

import tasks
from lab import faults
from lab.faults.options import LASTS, Option, check, subject
from transcoder.errors import Refused
from transcoder.settings import ROOT

OPTIONS = (
    Option("action", "which", required=True, subject=True),
    Option("count", "how many", "integer", 1, least=0, most=9),
    Option("share", "how much", "number", least=0, most=1),
    Option("hold", "or not", "switch", False),
    Option("at", "when", default="begin", choices=("begin", "end")),
)


def test_text_of_a_command_line_becomes_what_it_stands_for() -> None:
    found = check("f", OPTIONS, {"action": "X", "count": "3", "share": "0.5", "hold": "yes", "lasts": "2"})
    assert found == {"action": "X", "count": 3, "share": 0.5, "hold": True, "at": "begin", "lasts": 2.0}


def test_what_is_not_given_has_its_default_or_is_left_out() -> None:
    assert check("f", OPTIONS, {"action": "X", "share": "", "count": None}) == {
        "action": "X",
        "count": 1,
        "hold": False,
        "at": "begin",
    }


def test_every_reason_is_named_at_once() -> None:
    given = {"count": "1.5", "share": "2", "at": "never", "hold": "maybe", "colour": "red"}
    with pytest.raises(Refused) as caught:
        check("f", OPTIONS, given)
    reasons = "\n".join(caught.value.reasons)
    for part in ("colour: no such option", "action: is missing", "'1.5' is not a whole number", "2.0 is more than 1"):
        assert part in reasons
    for part in ("'never' is not one of begin, end", "'maybe' is neither yes nor no"):
        assert part in reasons


@pytest.mark.parametrize("value", ["nan", "inf", True, "much"])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(Refused, match="is not a"):
        check("f", OPTIONS, {"action": "X", "share": value})


def test_the_subject_is_what_the_fault_is_done_to() -> None:
    assert subject(OPTIONS, {"action": "X", "count": 3}) == (("action", "X"),)


def test_a_dash_in_a_name_is_an_underscore() -> None:
    assert faults.find("power-off") is faults.find("power_off")


def test_an_unknown_fault_is_refused_with_all_that_there_are() -> None:
    with pytest.raises(Refused) as caught:
        faults.find("earthquake")
    assert len(caught.value.reasons) == len(faults.NAMES)


@pytest.mark.parametrize("name", faults.NAMES)
def test_every_fault_says_what_it_is_and_what_it_takes(name: str) -> None:
    fault = faults.find(name)
    assert len(fault.SUMMARY) > 20
    assert inspect.getdoc(fault)
    assert all(option.help for option in fault.OPTIONS)
    names = [option.name for option in (*fault.OPTIONS, LASTS)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", faults.NAMES)
def test_every_option_of_a_fault_can_be_typed(name: str) -> None:
    typed = {argument.name for argument in tasks.namespace["lab.fault"].get_arguments()}
    assert {option.name for option in (*faults.find(name).OPTIONS, LASTS)} <= typed


def test_every_module_that_is_a_fault_is_in_the_registry() -> None:
    modules = {
        path.stem
        for path in (ROOT / "lab" / "faults").glob("*.py")
        if re.search(r"^SUMMARY = ", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert modules == set(faults.NAMES)


@pytest.mark.parametrize("name", faults.NAMES)
def test_every_fault_is_in_the_docs(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
