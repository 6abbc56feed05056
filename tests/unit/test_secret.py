"""A secret does not get into a log, a message, a file or a set by accident."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoder.secret import Secret

TEXT = "correct horse battery staple"


@pytest.mark.parametrize(
    "shown", [str(Secret(TEXT)), repr(Secret(TEXT)), f"{Secret(TEXT)}", f"{[Secret(TEXT)]}", f"{Secret(TEXT)}"]
)
def test_no_way_of_printing_shows_the_text(shown: str) -> None:
    assert TEXT not in shown
    assert "***" in shown


@given(st.text(min_size=4))
def test_revealing_gives_the_text_back(text: str) -> None:
    assert Secret(text).reveal() == text


def test_secrets_are_equal_by_text_and_never_equal_a_plain_text() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT


def test_a_secret_is_neither_pickled_nor_copied_nor_hashed_nor_made_json() -> None:
    for spill in (pickle.dumps, copy.copy, hash, json.dumps):
        with pytest.raises(TypeError):
            spill(Secret(TEXT))


def test_an_error_with_a_secret_in_it_does_not_show_it() -> None:
    with pytest.raises(ValueError) as raised:
        raise ValueError("wrong password", Secret(TEXT))
    assert TEXT not in repr(raised.value)


def test_a_secret_has_no_dictionary_that_a_debugger_would_print() -> None:
    with pytest.raises(TypeError):
        vars(Secret(TEXT))
