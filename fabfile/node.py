"""The node as a whole: how it is, and who holds it."""

from __future__ import annotations

import sys

from invoke.context import Context

from fabfile.volumes import help_for
from transcoder import app


@app.task(help=help_for("json"))
def status(_context: Context, env: str = "", node: str = "", json: bool = False) -> None:
    """
    Show every node of the environment, or one: what is up, what is not, and what to type.

    Examples:
        fab status
        fab status --node tc001 --json
    """
    from transcoder import report
    from transcoder.recipes import status as recipe

    settings = app.settings(env)
    with app.world(settings) as world:
        statuses = recipe.observe(world, node)
        others = recipe.other_machines(world, statuses)
    if json:
        report.print_json([each.describe() for each in statuses])
    else:
        report.print_statuses(statuses, others)


@app.task(help=help_for())
def unlock(_context: Context, env: str = "", node: str = "") -> None:
    """
    Free a node's lock after its holder is gone for good. Says whose it was.

    Examples:
        fab unlock --node tc001
    """
    settings = app.settings(env)
    name = node or settings.node.default
    with app.world(settings) as world:
        holder = world.cloud.free_lock(name)
    said = (
        f"freed: {holder.what!r} by {holder.who} on {holder.where} since {holder.when}" if holder else "was not locked"
    )
    sys.stdout.write(f"node {name} {said}\n")


TASKS = (status, unlock)
