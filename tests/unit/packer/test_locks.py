"""Two bakes of one environment do not write over each other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from packer.locks import only_one
from transcoder.errors import Refused


def test_a_second_bake_of_the_same_environment_is_refused_with_the_process_that_bakes(tmp_path: Path) -> None:
    with (
        only_one(tmp_path / "world"),
        pytest.raises(Refused, match=rf"process {os.getpid()}\)"),
        only_one(tmp_path / "world"),
    ):
        raise AssertionError


def test_after_its_end_the_next_may_begin_and_others_may_at_any_time(tmp_path: Path) -> None:
    with only_one(tmp_path / "world"), only_one(tmp_path / "elsewhere"):
        pass
    with only_one(tmp_path / "world"):
        assert (tmp_path / "world" / ".lock").read_text() == f"{os.getpid()}\n"
