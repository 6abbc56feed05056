"""The node as a whole: how it is, and who holds it."""

from __future__ import annotations

import sys

from invoke.context import Context

from fabfile.volumes import help_for
from transcoder import app


@app.task(
    help=help_for(
        "json",
        watch="look again and again, until Ctrl-C",
        every="with --watch: seconds between two looks (default: 10)",
        check="end with 4 when a node is not healthy, or there is none",
    )
)
def status(
    _context: Context,
    env: str = "",
    node: str = "",
    json: bool = False,
    watch: bool = False,
    every: float = 10.0,
    check: bool = False,
) -> None:
    """
    Show every node of the environment, or one: what is up, what is not, since when, and what to type.

    Examples:
        fab status
        fab status --node tc001 --json
        fab status --check
        fab status --watch --every 30
    """
    from transcoder import report, screen
    from transcoder.recipes import status as recipe

    settings = app.settings(env)
    with app.watched_world(settings) as world:
        if watch:
            screen.refuse_never_ending(every, check=check)
            screen.watch(lambda: recipe.survey(world, node), world.clock, every, json_output=json)
            return
        statuses, others = recipe.survey(world, node)
    if json:
        report.print_json([each.describe() for each in statuses])
    else:
        screen.show(statuses, others)
    if check:
        screen.check(statuses)


@app.task(
    help=help_for(
        node="the node (default: all nodes of the environment)",
        output="the file to write (default: a name with the environment and the time, here)",
        since="journals from when on, as journalctl takes it (default: 1 day ago)",
        lines="how many lines of a journal at most",
        json="print what is in it, what is missing and what was masked as JSON on stdout",
    )
)
def bundle(
    _context: Context,
    env: str = "",
    node: str = "",
    output: str = "",
    since: str = "1 day ago",
    lines: str = "2000",
    json: bool = False,
) -> None:
    """
    Put what somebody needs who is to help into one archive: status, EC2, units, journals, configuration. No secrets.

    Examples:
        fab bundle
        fab bundle --node tc001 --since "2 hours ago" --output tc001.tar.gz
    """
    from pathlib import Path

    from transcoder import archive, screen
    from transcoder.recipes import bundle as recipe

    settings = app.settings(env)
    with app.watched_world(settings) as world:
        made = recipe.collect(world, recipe.Request(node, since, lines))
    path = Path(output or f"{made.name}.tar.gz")
    archive.write_private(path, made.archive())
    screen.print_bundle(made, path, json_output=json)


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


TASKS = (status, bundle, unlock)
