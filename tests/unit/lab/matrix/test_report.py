from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.matrix import report
from lab.matrix.main import parse, read_shard
from tests.unit.lab.matrix.made_up import result
from transcoder.errors import Refused

GOOD = result()
BAD = result("geth/stop:slow_stop", healthy=False, problem="geth <does> not answer")


def test_the_grid_shows_how_often_the_command_was_typed_again_and_what_failed() -> None:
    text = report.render_markdown([GOOD, BAD])
    assert "|  | kill_operator | slow_stop |" in text
    assert "| livepeer/attach | 1 |  |" in text
    assert "| geth/stop |  | **not healthy** |" in text


def test_a_failed_cell_is_told_with_all_that_was_typed() -> None:
    text = report.render_markdown([GOOD, BAD])
    assert "### geth/stop:slow_stop: not healthy" in text
    assert "- geth <does> not answer" in text
    assert "`fab migrate --to b --yes` ended with -9" in text


def test_words_of_machines_are_no_markup_on_the_page() -> None:
    page = report.render_html([BAD])
    assert "&lt;does&gt;" in page
    assert "<does>" not in page


def test_all_three_files_are_written(tmp_path: Path) -> None:
    paths = report.write([GOOD, BAD], tmp_path / "report")
    assert [path.name for path in paths] == ["report.md", "report.html", "report.json"]
    data = json.loads(paths[2].read_text())
    assert (data["totals"]["cells"], data["cells"][0]["passed"], data["cells"][1]["verdict"]) == (
        2,
        True,
        "not healthy",
    )


def test_a_shard_is_one_of_n() -> None:
    assert read_shard("2/3") == (2, 3)
    for wrong in ("3/2", "0/2", "x", "1"):
        with pytest.raises(Refused):
            read_shard(wrong)


def test_patterns_may_be_given_more_than_once() -> None:
    options = parse(["--only", "a:*", "--only", "b", "--resume"])
    assert (options.only, options.resume, options.keep_up) == (["a:*", "b"], True, False)
