"""The services on a node: what they say."""

from __future__ import annotations

from invoke.context import Context

from fabfile.volumes import help_for
from transcoder import app


@app.task(
    help=help_for(
        "instance",
        node="the node (default: all nodes of the environment)",
        unit="geth, livepeer or any other unit (default: the services of a node)",
        since="from when on, as journalctl takes it: '10 min ago', '2026-01-31 16:00' (default: 1 hour ago)",
        lines="how many lines at most, of each machine",
        follow="go on with what comes, until Ctrl-C",
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
    follow: bool = False,
) -> None:
    """
    Print what the services of all nodes, or of one, wrote to the journal, in the order of time.

    Examples:
        fab logs
        fab logs --node tc001 --unit geth --since "10 min ago"
        fab logs --follow
    """
    from transcoder import screen
    from transcoder.recipes import logs as recipe

    settings = app.settings(env)
    request = recipe.Request(node, instance, unit, since, lines)
    with app.watched_world(settings) as world:
        chosen = recipe.sources(world, request)
        teller = screen.JournalTeller(named=len(chosen) > 1, since="" if follow else since)
        if follow:
            recipe.follow(world, request, chosen, teller.tell)
        else:
            teller.tell(recipe.read(world, request, chosen))
            teller.check()


@app.task(
    help=help_for(
        "yes",
        "dry_run",
        "json",
        max_gas_price="gwei that gas may cost (default: 50 on Ethereum, 1 on Arbitrum)",
    )
)
def reward(
    _context: Context,
    env: str = "",
    node: str = "",
    max_gas_price: float = 0.0,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Call reward() by hand, once in a round: the node's livepeer signs and sends it.

    Refused before it costs gas: a round that is not initialized or has been rewarded, a trial run that reverts, too
    little ETH, gas above the ceiling, a transaction that still waits.

    Examples:
        fab reward --dry-run
        fab reward --node tc001 --yes
        fab reward --node tc001 --max-gas-price 0.5
    """
    from transcoder.recipes import reward as recipe

    settings = app.settings(env)
    request = recipe.Request(node or settings.node.default, max_gas_price)
    with app.world(settings) as world:
        app.perform(world, recipe.operation(request), yes=yes, dry_run=dry_run, json=json)


TASKS = (logs, reward)
