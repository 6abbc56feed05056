"""The node's Ethereum key."""

from __future__ import annotations

from invoke.context import Context

from fabfile.volumes import help_for
from transcoder import app


@app.task(help=help_for("yes", "dry_run", "json"))
def create_key(
    _context: Context, env: str = "", node: str = "", yes: bool = False, dry_run: bool = False, json: bool = False
) -> None:
    """
    Make a fresh node's first account on its own volume, then start the node. Never a second one.

    Examples:
        fab create-key
        fab create-key --node tc002 --yes
    """
    from transcoder.recipes import attach, create_key

    settings = app.settings(env)
    name = node or settings.node.default
    operations = create_key.operation(name), attach.operation(attach.Request(name))
    with app.world(settings) as world:
        app.perform(world, *operations, yes=yes, dry_run=dry_run, json=json)


TASKS = (create_key,)
