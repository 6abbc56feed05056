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


@app.optional_word("what", ("geth", "livepeer", "all"), "all")
@app.task(
    positional=["what"],
    help=help_for(
        "yes",
        "dry_run",
        "json",
        what="geth, livepeer or all (default: all)",
        ignore_round="restart although the reward of this round is still to be called",
        wait_sessions="seconds that sessions may take to end before they are cut (default: the environment's, 600)",
        max_age="leave a service alone that was started within so many hours (default: 0, none is)",
    ),
)
def restart(
    _context: Context,
    what: str | None = None,
    env: str = "",
    node: str = "",
    ignore_round: bool = False,
    wait_sessions: str = "",
    max_age: float = 0.0,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Restart geth, wait until it is in sync, then restart livepeer and wait until it is healthy.

    geth has all the time it needs to stop. When it does not get in sync, livepeer is left as it is (exit code 4).

    Examples:
        fab restart --dry-run
        fab restart geth --node tc001
        fab restart livepeer --yes
        fab restart all --max-age 20
    """
    from transcoder.recipes import restart as recipe

    settings = app.settings(env)
    name = node or settings.node.default
    request = recipe.Request(name, what or "all", ignore_round, app.seconds(wait_sessions), max_age * 3600)
    with app.world(settings) as world:
        app.perform(world, recipe.operation(request), yes=yes, dry_run=dry_run, json=json)


TASKS = (logs, reward, restart)
