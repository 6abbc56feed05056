"""The report of a verification, for people and for programs."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from packer.verify.suite import Finding
from transcoder import report


def print_report(verdict: dict[str, Any], findings: tuple[Finding, ...], *, as_json: bool) -> None:
    """Print every check with what it found.

    :param verdict: the AMI, and whether it is verified.
    """
    if as_json:
        report.print_json({**verdict, "checks": [finding.describe() for finding in findings]})
        return
    table = Table(title=f"{verdict['ami']} {verdict['name']}", title_justify="left")
    for column in ("", "check", "what it found"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        mark, style = ("✓", "") if finding.passed else ("✗", "bold red")
        table.add_row(Text(mark, style=style), Text(finding.title, style=style), Text(finding.found, style=style))
    console = report.console(stderr=False)
    console.print(table)
    failed = sum(not finding.passed for finding in findings)
    end = "verified" if verdict["verified"] else f"not verified: {failed} of {len(findings)} checks failed"
    console.print(f"{verdict['ami']} is {end}")
