"""The services on a node: what they say."""

from __future__ import annotations

import sys

from invoke.context import Context

from fabfile.volumes import help_for
from transcoder import app


@app.task(
    help=help_for(
        "instance",
        unit="geth.service, livepeer-transcoder.service or any other (default: both)",
        since="from when on, as journalctl takes it: '10 min ago', '2026-01-31 16:00' (default: 1 hour ago)",
        lines="how many lines at most",
    )
)
def logs(
    _context: Context,
    env: str = "",
    node: str = "",
    instance: str = "",
    unit: str = "",
    since: str = "1 hour ago",
    lines: str = "200",
) -> None:
    """
    Print what the node's services wrote to the journal.

    Examples:
        fab logs
        fab logs --unit geth.service --since "10 min ago"
    """
    from transcoder.recipes import logs as recipe

    settings = app.settings(env)
    with app.world(settings) as world:
        text = recipe.read(world, node or settings.node.default, instance, unit, since, lines)
    sys.stdout.write(text)


TASKS = (logs,)
