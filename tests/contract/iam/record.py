"""What each line of `scenarios` calls, as the last ``python -m tests.contract.iam.record`` has seen it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from transcoder.settings import ROOT

RECORD = ROOT / "tests" / "data" / "iam" / "contract.json"


def load() -> dict[str, list[str]]:
    """Return the actions by command line."""
    found: dict[str, list[str]] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Type every line with its whole policy and write down what it calls."""
    from tests.contract.iam.account import an_account
    from tests.contract.iam.scenarios import LINES, Bench
    from tests.contract.iam.typed import Desk, whole_policy

    found: dict[str, list[str]] = {}
    with pytest.MonkeyPatch.context() as outer, an_account(outer.setenv) as account:
        for line in LINES:
            with pytest.MonkeyPatch.context() as inner, tempfile.TemporaryDirectory() as directory:
                desk, bench = Desk(account, inner), Bench(inner, Path(directory))
                ended = desk.type(whole_policy(line.task), line.argv(bench.directory), line.furnish(bench))
                assert ended == line.ends, f"{line.words} ended with {ended}"
            found[line.words] = sorted(desk.asked)
    RECORD.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
