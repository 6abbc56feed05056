"""AMIs for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.table import Table

from transcoder import report
from transcoder.recipes.amis import Row

COLUMNS = (
    *("id", "name", "livepeer", "geth", "created (UTC)", "age"),
    *("verified", "in use by", "copies", "deprecated", "GiB"),
)


def print_rows(rows: Sequence[Row], environment: str, *, as_json: bool) -> None:
    """Print the AMIs of an environment, newest first."""
    if as_json:
        report.print_json([row.describe() for row in rows])
        return
    console = report.console(stderr=False)
    if not rows:
        console.print(f"no image has been baked for environment {environment}: invoke bake-ami")
        return
    table = Table(title=f"images of environment {environment}", title_justify="left")
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table)


def _cells(row: Row) -> tuple[str, ...]:
    state = "" if row.state == "available" else f" ({row.state})"
    copies = "\n".join(f"{region} {image}" for region, image in row.copies.items())
    users = "\n".join(row.in_use_by)
    made, age = _minute(row.created), f"{row.age_days:.0f} d" if row.age_days >= 1 else f"{row.age_days * 24:.0f} h"
    locked = ", encrypted" if row.encrypted else ""
    tested = _minute(row.verified.split(" ")[0]) if row.verified else "no"
    gone = _minute(row.deprecated) if row.deprecated else "-"
    return (
        *(row.id + state, row.name, row.livepeer or "-", row.geth or "-", made, age, tested),
        *(users or "-", copies or "-", gone, f"{row.size_gib}{locked}"),
    )


def _minute(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M")
