"""The errors that file systems have met, as a machine tells them."""

from __future__ import annotations

import pytest

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts import ext4


def test_every_device_has_its_count() -> None:
    healthy = recorded("ext4", "healthy-3.1.txt")
    assert ext4.parse_ext4(healthy) == {"ubda": 0, "ubdb": 0, "ubdc": 0}
    assert ext4.parse_ext4(healthy.replace("ubdb/errors_count:0", "ubdb/errors_count:117"))["ubdb"] == 117


def test_a_machine_without_ext4_tells_nothing() -> None:
    assert ext4.parse_ext4("") == {}


def test_another_form_is_an_error_that_shows_it() -> None:
    with pytest.raises(Failed, match="no such thing"):
        ext4.parse_ext4("/sys/fs/ext4/sdb/errors_count:no such thing\n")
