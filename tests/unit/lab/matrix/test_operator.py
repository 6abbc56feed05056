from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.matrix import operator as operators
from lab.matrix.environment import OwnLab, write_environment
from lab.matrix.operator import JournalReader, Operator, await_step, copy_checkout
from transcoder import settings


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what starts a program of the tests' own as if it were fab."""
    monkeypatch.setattr(operators, "BIN", Path(sys.executable).parent)

    def start(program: str) -> Operator:
        return Operator((Path(sys.executable).name, "-c", program), tmp_path / "log", tmp_path)

    return start


def test_an_operator_that_is_frozen_does_nothing_until_it_is_thawed(typed: Any, tmp_path: Path) -> None:
    at_work = typed("import pathlib, time\nfor n in range(100): pathlib.Path('n').write_text(str(n)), time.sleep(0.02)")
    while not (tmp_path / "n").exists():
        pass
    at_work.freeze()
    before = (tmp_path / "n").read_text()
    assert at_work.running
    assert (tmp_path / "n").read_text() == before
    at_work.thaw()
    assert at_work.wait(20).exit_code == 0
    assert (tmp_path / "n").read_text() == "99"


def test_a_killed_operator_has_ended_with_all_that_it_said_kept(typed: Any) -> None:
    at_work = typed("import time\nprint('begun', flush=True)\ntime.sleep(60)")
    at_work.kill()
    ran = at_work.wait(1)
    assert (ran.exit_code, ran.overdue) == (-9, False)


def test_an_operator_that_takes_too_long_is_interrupted(typed: Any) -> None:
    ran = typed("import time\ntime.sleep(60)").wait(1.0)
    assert ran.overdue
    assert "KeyboardInterrupt" in ran.stderr


def test_a_step_is_awaited_in_the_journal_of_this_very_process(typed: Any, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.write_text("{}\n")
    program = f"""
import json, os, pathlib, time
file = open({str(journal)!r}, "a")
def write(pid, step, outcome=None):
    print(json.dumps(dict(pid=pid, step=step, outcome=outcome)), file=file, flush=True)
write(1, "livepeer/attach")
write(os.getpid(), "livepeer/attach", "skipped")
time.sleep(0.3)
pathlib.Path("begun").touch()
write(os.getpid(), "livepeer/attach")
time.sleep(60)
"""
    at_work = typed(program)
    reader = JournalReader(journal)
    assert await_step(at_work, reader, "livepeer/attach", 20)
    assert (tmp_path / "begun").exists()
    at_work.kill()
    assert not await_step(at_work, reader, "livepeer/mount", 20), "it has ended"


def test_a_half_written_line_of_the_journal_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    reader = JournalReader(path)
    path.write_text('{"step": ')
    assert list(reader.events()) == []
    path.write_text('{"step": 1}\n')
    assert list(reader.events()) == [{"step": 1}]
    assert list(reader.events()) == []


def test_the_own_lab_shares_nothing_with_the_shipped_one(tmp_path: Path) -> None:
    own = settings.load(str(write_environment(tmp_path, OwnLab("cells", "172.31.216", 5616))))
    shipped = settings.load("lab")
    assert (own.extension("lab")["name"], own.extension("lab")["network"]) == ("cells", "172.31.216.0/24")
    assert own.aws.endpoint_url == "http://127.0.0.1:5616"
    for ours, theirs in ((own.ssh, shipped.ssh), (own.operator, shipped.operator)):
        assert not set(json.loads(ours.model_dump_json()).values()) & {"/var/lib/transcoder-lab/lab"}
        assert ours != theirs


def test_a_checkout_has_the_sources_and_nothing_that_was_built(tmp_path: Path) -> None:
    copy = copy_checkout(tmp_path / "copy")
    assert (copy / "fabfile" / "volumes.py").is_file()
    assert (copy / "environments" / "lab.toml").is_file()
    assert not (copy / "build").exists()
    assert not (copy / ".git").exists()
