"""The alarms' stack for people and for programs."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.table import Table
from rich.text import Text

from transcoder import report
from transcoder.recipes.monitoring import Outcome
from transcoder.settings import Settings
from transcoder.stacks import Change, StackEvent

MARKS = {"Add": "+", "Modify": "~", "Remove": "-"}


class StackConsole(report.TerminalConsole):
    """Shows what CloudFormation would do and does, on stderr; asks on the terminal."""

    def show_changes(self, stack: str, changes: tuple[Change, ...]) -> None:
        """Print a change set, or that it is empty."""
        if self._json:
            return
        if not changes:
            self._progress.print(Text(f"stack {stack}: nothing is to be changed"))
            return
        table = Table("", "resource", "type", "how", title=f"stack {stack}", title_justify="left")
        for change in changes:
            how = f"{change.action}, made anew" if change.replaced else change.action
            table.add_row(MARKS.get(change.action, "?"), change.name, change.kind, how)
        self._progress.print(table)

    def tell(self, event: StackEvent) -> None:
        """Print one line of what CloudFormation does."""
        failed = event.status.endswith("_FAILED")
        why = f": {event.reason}" if event.reason else ""
        line = f"{'✗' if failed else '·'} {event.status:<28} {event.name} ({event.kind}){why}"
        self._progress.print(Text(line, style="bold red" if failed else ""))


def print_outcome(outcome: Outcome, settings: Settings, *, looked: bool, as_json: bool) -> None:
    """Print what was done, or with ``looked`` what a deployment would do."""
    if as_json:
        report.print_json(outcome.describe())
        return
    console = report.console(stderr=False)
    if not outcome.changes:
        console.print(f"stack {outcome.stack}: nothing is to be changed")
        return
    counts = ", ".join(f"{_count(outcome, action)} {word}" for action, word in _WORDS.items())
    verdict = "dry run: nothing was changed" if looked else "done"
    console.print(f"stack {outcome.stack}: {counts}; {verdict}")
    emails = settings.monitoring.emails
    if outcome.done and outcome.nodes:
        console.print(_who_gets_mail(emails))


def print_template(document: dict[str, Any], *, as_json: bool) -> None:
    """Print a template; ``as_json``: on one line, for a program."""
    sys.stdout.write(json.dumps(document, indent=None if as_json else 2) + "\n")


_WORDS = {"Add": "to add", "Modify": "to change", "Remove": "to remove"}


def _count(outcome: Outcome, action: str) -> int:
    return len([change for change in outcome.changes if change.action == action])


def _who_gets_mail(emails: list[str]) -> str:
    if not emails:
        return "nobody gets mail: monitoring.emails is empty; subscribe to the topic, or name addresses"
    return f"mail goes to {', '.join(emails)}, once each has confirmed it: SNS has written to new ones"
