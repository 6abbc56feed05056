"""`invoke catalog`: prints what is supported."""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.table import Table

from transcoder.catalog import support


def show(*, as_json: bool) -> None:
    """Print the tables of the catalog, or all of it as one JSON document."""
    if as_json:
        sys.stdout.write(json.dumps(support.describe(), indent=2) + "\n")
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    for table in (_livepeer(), _geth()):
        console.print(table)


def _livepeer() -> Table:
    columns = ("livepeer", "runs on", "networks", "control API, own record", "keys, database", "notes")
    table = Table(*columns, title="livepeer", title_justify="left", show_lines=True)
    for row in support.livepeer_ranges():
        table.add_row(
            row.versions,
            "\n".join(row.systems),
            "\n".join(row.networks),
            f"{row.control}\n{row.own_record}",
            f"{row.keystore}\n{row.database}",
            "\n".join(row.notes),
        )
    return table


def _geth() -> Table:
    columns = ("geth", "sync modes", "same geth.toml", "runs on", "follows", "flags beside it")
    table = Table(*columns, title="geth", title_justify="left", show_lines=True)
    for row in support.geth_ranges():
        table.add_row(
            row.versions,
            ", ".join(row.sync_modes),
            row.configuration,
            "\n".join(row.systems),
            row.mainnet,
            " ".join(row.flags),
        )
    return table
