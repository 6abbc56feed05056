"""The volumes: attach, detach, adopt, migrate."""

from __future__ import annotations

from invoke.context import Context

from transcoder import app

ENV = "environment: a name in environments/ or a path to a TOML file (default: $TRANSCODER_ENV, else lab)"
NODE = "the node (default: the environment's node.default)"
HELP = {
    "env": ENV,
    "node": NODE,
    "yes": "go on without asking",
    "dry_run": "print the plan, change nothing",
    "json": "print the plan and the result as JSON on stdout",
    "instance": "a Name or an instance id (default: the instance that carries the node)",
}


def help_for(*names: str, **extra: str) -> dict[str, str]:
    """Return the help of these common options and of some more."""
    chosen = {name: HELP[name] for name in ("env", "node", *names)}
    return {name.replace("_", "-"): text for name, text in {**chosen, **extra}.items()}


@app.task(
    help=help_for(
        "instance",
        "yes",
        "dry_run",
        "json",
        livepeer_volume="take this volume as the livepeer volume (default: the node's, else create one)",
        geth_volume="take this volume as the geth volume (default: the node's, else create one)",
        format="this volume may be formatted once it is proven blank, although it was not created by this project",
    ),
    iterable=["format"],
)
def attach(
    _context: Context,
    env: str = "",
    node: str = "",
    instance: str = "",
    livepeer_volume: str = "",
    geth_volume: str = "",
    format: list[str] | None = None,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Bring the node's volumes to an instance, mount them, start the services.

    Volumes that do not exist are created; only what is proven blank is formatted.

    Examples:
        fab attach
        fab attach --instance tc001-b --dry-run
        fab attach --livepeer-volume vol-0123 --format vol-0123
    """
    from transcoder.recipes import attach as recipe

    settings = app.settings(env)
    request = recipe.Request(node or settings.node.default, instance, livepeer_volume, geth_volume, tuple(format or ()))
    with app.world(settings) as world:
        app.perform(world, recipe.operation(request), yes=yes, dry_run=dry_run, json=json)


@app.task(help=help_for("instance", "yes", "dry_run", "json"))
def detach(
    _context: Context,
    env: str = "",
    node: str = "",
    instance: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Stop the node and take its volumes off the instance. The data stays on them.

    Examples:
        fab detach --dry-run
        fab detach --yes
    """
    from transcoder.recipes import detach as recipe

    settings = app.settings(env)
    with app.world(settings) as world:
        operation = recipe.operation(recipe.Request(node or settings.node.default, instance))
        app.perform(world, operation, yes=yes, dry_run=dry_run, json=json)


@app.task(
    help=help_for(
        "instance", "yes", "dry_run", "json", volume="the volume to take over", role="what is on it: livepeer or geth"
    )
)
def adopt(
    _context: Context,
    volume: str,
    role: str,
    env: str = "",
    node: str = "",
    instance: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Take over a volume that was made by hand: label set, owners mapped, marker written, nothing else touched.

    Examples:
        fab adopt --volume vol-0123 --role livepeer --instance tc001
        fab adopt --volume vol-0456 --role geth --instance tc001 --dry-run
    """
    from transcoder.recipes import adopt as recipe

    settings = app.settings(env)
    request = recipe.Request(node or settings.node.default, volume, role, instance)
    with app.world(settings) as world:
        app.perform(world, recipe.operation(request), yes=yes, dry_run=dry_run, json=json)


@app.task(
    help=help_for(
        "yes",
        "dry_run",
        "json",
        to="where to: a Name, an instance id, or `new`",
        zone="where `new` is launched (default: where the volumes are); another one takes copies of the volumes there",
        to_env="the environment in another region that the node goes to: copies of its volumes, another address",
        source_lost="the old machine does not answer: stop it through EC2, if need be by force, and take its volumes",
        force_detach="detach this volume by force when EC2 does not let go of it; may be given twice",
        ignore_round="go on although the reward of this round has not been called yet",
        on_error="when a step fails: stop (leave everything, the default), or undo (bring the node back)",
        confirm="after a migration to another zone or region: delete the volumes and snapshots that stayed behind",
    ),
    iterable=["force_detach"],
)
def migrate(
    _context: Context,
    to: str = "",
    env: str = "",
    node: str = "",
    zone: str = "",
    to_env: str = "",
    source_lost: bool = False,
    force_detach: list[str] | None = None,
    ignore_round: bool = False,
    on_error: str = "stop",
    confirm: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Move the node to another instance: volumes, services, Elastic IP. Run it again to go on after a failure.

    Examples:
        fab migrate --to new --dry-run
        fab migrate --to tc001-b --yes
        fab migrate --to new --source-lost
        fab migrate --to new --zone us-east-1b
        fab migrate --confirm
        fab migrate --to new --to-env arbitrum
    """
    from transcoder.errors import Refused
    from transcoder.recipes import confirm as confirmation
    from transcoder.recipes import migrate as recipe
    from transcoder.recipes import relocate, relocate_confirm

    if bool(to) == confirm:
        raise Refused("give either --to, or --confirm", hint="fab migrate --to new, or after it: fab migrate --confirm")
    settings = app.settings(env)
    name = node or settings.node.default
    request = recipe.Request(name, to, source_lost, tuple(force_detach or ()), ignore_round, zone)
    with app.world(settings) as world, app.another_world(to_env) as there:
        if there is None:
            operation = confirmation.operation(name) if confirm else recipe.operation(request)
        else:
            operation = relocate_confirm.operation(name, there) if confirm else relocate.operation(request, there)
        app.perform(world, operation, yes=yes, dry_run=dry_run, json=json, on_error=on_error)


TASKS = (attach, detach, adopt, migrate)
