"""Which Packer is installed, and what it can do."""

from __future__ import annotations

import pytest

from packer.versions import Packer, named_version, parse_version
from transcoder.errors import Refused


def test_the_version_of_debian_is_read_with_its_news_about_newer_ones() -> None:
    output = "Packer v1.6.6\n\nYour version of Packer is out of date! The latest version\nis 1.16.0. You can update.\n"

    assert parse_version(output) == Packer(1, 6, 6)


def test_plugins_are_needed_from_1_7_on() -> None:
    assert [Packer(1, 6, 6).needs_plugins, Packer(1, 11).needs_plugins, Packer(2, 0).needs_plugins] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(("text", "version"), [("1.6", "1.6.0"), ("1.11", "1.11.0"), ("v1.14.2", "1.14.2")])
def test_a_version_can_be_asked_for_by_its_first_two_numbers(text: str, version: str) -> None:
    assert str(named_version(text)) == version


@pytest.mark.parametrize("text", ["", "new", "1", "1.5", "1.8.7", "1.10.3"])
def test_a_packer_that_is_not_written_for_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        named_version(text)


@pytest.mark.parametrize("output", ["", "packer: not found", "Packer v1.5.6", "Packer v1.9.4"])
def test_what_is_no_packer_or_too_old_is_refused(output: str) -> None:
    with pytest.raises(Refused):
        parse_version(output)
