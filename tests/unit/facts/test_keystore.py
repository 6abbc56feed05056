"""Key files: the name and the content must agree, and no error may show the content."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts.keystore import addresses, list_command, parse_key, parse_name, parse_names

HEX = "0f544432cb27103055d8c1b5fba0e45f5a9ccea8"
NAME = f"UTC--2026-11-22T05-11-48.664775025Z--{HEX}"
OLDER = f"UTC--2018-06-20T12-34-56.123456789Z--{'ab' * 20}"


def content() -> str:
    return recorded("keystore", NAME)


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(content()), **fields})


def test_a_key_file_gives_its_address_and_time() -> None:
    file = parse_key(NAME, content())
    assert (file.address, file.created) == ("0x" + HEX, "2026-11-22T05-11-48.664775025Z")


def test_the_oldest_key_comes_first_as_livepeer_takes_it() -> None:
    assert [file.name for file in parse_names(f"{NAME}\n{OLDER}\n")] == [OLDER, NAME]


def test_files_that_geth_passes_over_are_left_out() -> None:
    assert [file.name for file in parse_names(f".swp\n{NAME}~\n{NAME}\n")] == [NAME]


def test_an_empty_keystore_has_no_accounts() -> None:
    assert parse_names("") == ()
    assert addresses({}) == ()


def test_the_addresses_of_several_files_come_oldest_first() -> None:
    older = changed(address="ab" * 20)
    assert addresses({NAME: content(), OLDER: older}) == ("0x" + "ab" * 20, "0x" + HEX)


def test_a_key_under_the_name_of_another_is_refused() -> None:
    with pytest.raises(Failed, match=f"named for 0x{'ab' * 20} and holds the key of 0x{HEX}"):
        parse_key(OLDER, content())


@pytest.mark.parametrize("name", ["key.json", "UTC--2018--ab", NAME.upper(), NAME + ".bak", f"../{NAME}"])
def test_a_file_with_another_name_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(Failed, match="expected a file named UTC--"):
        parse_name(name)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "not a key file of version 3"),
        (changed(version=1), "not a key file of version 3"),
        (changed(address=None), "holds no address"),
        (changed(address="xyz"), "holds no address"),
        (changed(crypto={"cipher": "aes-128-ctr"}), "lacks ciphertext"),
        (changed(crypto=None), "lacks crypto"),
    ],
)
def test_a_file_that_is_no_key_is_an_error_that_says_what_lacks(text: str, problem: str) -> None:
    with pytest.raises(Failed, match=problem):
        parse_key(NAME, text)


@given(st.integers(0, 490))
def test_a_key_cut_short_is_an_error_and_shows_none_of_it(length: int) -> None:
    with pytest.raises(Failed) as raised:
        parse_key(NAME, content()[:length])
    assert "a1a1" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_list_command_prints_names_and_no_content() -> None:
    assert list_command("/d1/livepeer/.lpData/keystore")[-2:] == ("-printf", "%f\\n")
