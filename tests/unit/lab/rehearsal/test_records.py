"""The records of livepeer's stand-in: what a gap, a repetition and a torn line look like."""

from __future__ import annotations

import pytest

from lab.rehearsal.records import last_written, parse, parse_line, resumed_from
from lab.standins.livepeer_node.state import record


def written(*numbers: int) -> str:
    """Return what the stand-in writes, by its own code: a record every 20 ms."""
    return b"".join(record(number, 1700000000 + index * 0.02) for index, number in enumerate(numbers)).decode()


def test_what_the_stand_in_writes_is_read_and_whole() -> None:
    scan = parse(written(1, 2, 3))
    assert [r.number for r in scan.records] == [1, 2, 3]
    assert scan.records[2].time == pytest.approx(1700000000.04)
    assert (scan.last, scan.problems(), scan.unfinished) == (3, (), "")


def test_a_gap_is_named_with_its_numbers() -> None:
    assert parse(written(1, 2, 6, 8)).problems() == ("missing: 3-5, 7",)


def test_records_missing_at_the_begin_are_a_gap() -> None:
    assert parse(written(4, 5)).gaps == ("1-3",)


def test_a_number_that_is_there_twice_is_named() -> None:
    assert parse(written(1, 2, 2, 3)).problems() == ("more than once: 2",)


def test_a_file_that_goes_back_in_time_is_noticed() -> None:
    scan = parse(written(1, 2, 3, 2, 3, 4))
    assert scan.repeated == (2, 3)
    assert scan.disordered == (2,)


def test_a_line_torn_in_the_middle_of_the_file_is_damage() -> None:
    lines = written(1, 2, 3).splitlines()
    scan = parse("\n".join([lines[0], lines[1][:9], lines[2], ""]))
    assert scan.damaged == (lines[1][:9],)
    assert any(lines[1][:9] in problem for problem in scan.problems())
    assert scan.gaps == ("2",)


def test_a_line_that_is_being_written_is_no_damage() -> None:
    text = written(1, 2, 3)
    scan = parse(text[:-5])
    assert scan.problems() == ()
    assert scan.unfinished == text.splitlines()[2][:-4]
    assert scan.last == 2


@pytest.mark.parametrize("line", ["", "7", "7 1.0 00000000", "x 1.0 00000000", "7 1.0", "\0\0\0\0"])
def test_what_is_no_record_is_not_taken_for_one(line: str) -> None:
    assert parse_line(line) is None


def test_a_changed_digit_breaks_the_checksum() -> None:
    line = written(41).strip()
    assert parse_line(line) is not None
    assert parse_line(line.replace("41 ", "42 ", 1)) is None


def test_the_pause_of_a_move_is_the_longest_between_two_records() -> None:
    text = (record(1, 10.0) + record(2, 10.02) + record(3, 25.5) + record(4, 25.52)).decode()
    assert parse(text).longest_pause == pytest.approx(15.48)


def test_an_empty_file_has_no_record() -> None:
    assert (parse("").last, parse("").records) == (0, ())


def test_the_journal_tells_where_the_last_run_ended_and_the_next_began() -> None:
    journal = (
        "I1122 14:00:01.000001 node.go] Stand-in: writing records from number 1\n"
        "I1122 14:00:09.000001 node.go] Stand-in: wrote records up to number 400\n"
        "I1122 14:01:01.000001 node.go] Stand-in: writing records from number 401\n"
        "I1122 14:02:01.000001 node.go] Stand-in: wrote records up to number 900\n"
    )
    assert (resumed_from(journal), last_written(journal)) == (401, 900)
    assert (resumed_from(""), last_written("nothing of that kind")) == (None, None)
