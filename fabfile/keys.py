"""The node's Ethereum key."""

from __future__ import annotations

from invoke.context import Context

from fabfile.volumes import help_for
from transcoder import app

STORE = "ssm, secrets-manager, vault or age (default: the environment's keys.store)"
ADDRESS = "which key, where neither the environment nor the volume says so"
SOURCE_LOST = "the other node with this key is lost for good: stop its machine through EC2, take its claim over"
DATABASE = "livepeer's database too, with its winning tickets"


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


@app.task(
    help=help_for(
        "yes",
        "dry_run",
        "json",
        store=STORE,
        database=DATABASE,
        source_lost="the node that has claimed this key has it no more: take its claim over",
    )
)
def backup_keys(
    _context: Context,
    env: str = "",
    node: str = "",
    store: str = "",
    database: bool = False,
    source_lost: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Put the node's key into an encrypted store, read it back and compare. Nothing is done when it is there already.

    Examples:
        fab backup-keys
        fab backup-keys --store age --database --yes
    """
    from transcoder.recipes import backup_keys as recipe

    settings = app.settings(env)
    request = recipe.Request(node or settings.node.default, store, database, source_lost)
    with app.world(settings) as world:
        app.perform(world, recipe.operation(request), yes=yes, dry_run=dry_run, json=json)


@app.task(
    help=help_for(
        "yes",
        "dry_run",
        "json",
        store=STORE,
        address=ADDRESS,
        version="a version of the backup (default: the newest)",
        database=DATABASE,
        source_lost=SOURCE_LOST,
    )
)
def restore_keys(
    _context: Context,
    env: str = "",
    node: str = "",
    store: str = "",
    address: str = "",
    version: str = "",
    database: bool = False,
    source_lost: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Put a key out of its store onto the node's volume, where there is none, then start the node. Never over another.

    Examples:
        fab restore-keys --dry-run
        fab restore-keys --address 0x0f544432cb27103055d8c1b5fba0e45f5a9ccea8
        fab restore-keys --node tc002 --source-lost
    """
    from transcoder.recipes import attach
    from transcoder.recipes import restore_keys as recipe

    settings = app.settings(env)
    name = node or settings.node.default
    request = recipe.Request(name, store, address, version, database, source_lost)
    operations = recipe.operation(request), attach.operation(attach.Request(name))
    with app.world(settings) as world:
        app.perform(world, *operations, yes=yes, dry_run=dry_run, json=json)


@app.task(
    help=help_for(
        "json",
        store=f"{STORE.partition(' (')[0]} (default: all that the environment names)",
        address=ADDRESS,
        prove="ask for the passphrase, decrypt the key in memory, derive its address and compare",
        passphrase_fd="read the passphrase from this file descriptor instead of asking",  # noqa: S106
    )
)
def verify_keys(
    _context: Context,
    env: str = "",
    node: str = "",
    store: str = "",
    address: str = "",
    prove: bool = False,
    passphrase_fd: str = "",
    json: bool = False,
) -> None:
    """
    Check that the backups are there, whole, and those of the key on the node. Exit code 4 when one is not.

    Examples:
        fab verify-keys
        fab verify-keys --store vault --prove
        fab verify-keys --prove --passphrase-fd 3 3< FILE
    """
    from transcoder import keystores, report
    from transcoder.recipes import verify_keys as recipe

    settings = app.settings(env)
    kinds = [store] if store else keystores.configured(settings)
    passphrase = app.passphrase("passphrase: ", passphrase_fd) if prove else None
    with app.world(settings) as world:
        checks = recipe.verify(world, node or settings.node.default, kinds, address, passphrase)
    report.print_checks(checks, json_output=json)


@app.task(
    help=help_for(
        "yes",
        "dry_run",
        "json",
        passphrase_fd="read the passphrase from this file descriptor instead of asking",  # noqa: S106
    )
)
def set_passphrase(
    _context: Context,
    env: str = "",
    node: str = "",
    passphrase_fd: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Put the passphrase of the node's key where its machine fetches it at each start, then start the node.

    Examples:
        fab set-passphrase
        fab set-passphrase --passphrase-fd 3 --yes 3< FILE
    """
    from transcoder.recipes import attach
    from transcoder.recipes import set_passphrase as recipe

    settings = app.settings(env)
    recipe.refuse_settings(settings)
    name, passphrase = node or settings.node.default, app.passphrase("passphrase: ", passphrase_fd)
    operations = recipe.operation(name, passphrase), attach.operation(attach.Request(name))
    with app.world(settings) as world:
        app.perform(world, *operations, yes=yes, dry_run=dry_run, json=json)


@app.task(
    help=help_for(
        "yes",
        "dry_run",
        "json",
        store=STORE,
        passphrase_fd="read the old passphrase from this file descriptor instead of asking",  # noqa: S106
        new_passphrase_fd="read the new passphrase from this file descriptor instead of asking",  # noqa: S106
    )
)
def rotate_passphrase(
    _context: Context,
    env: str = "",
    node: str = "",
    store: str = "",
    passphrase_fd: str = "",
    new_passphrase_fd: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Give the node's key another passphrase: encrypted anew in memory, stored, proven, then replaced on the volume.

    Examples:
        fab rotate-passphrase
        fab rotate-passphrase --passphrase-fd 3 --new-passphrase-fd 4 --yes 3< OLD 4< NEW
    """
    from transcoder.recipes import rotate_passphrase as recipe

    settings = app.settings(env)
    old = app.passphrase("old passphrase: ", passphrase_fd)
    new = app.new_passphrase(new_passphrase_fd)
    operation = recipe.operation(node or settings.node.default, store, recipe.Passphrases(old, new))
    with app.world(settings) as world:
        app.perform(world, operation, yes=yes, dry_run=dry_run, json=json)


TASKS = (create_key, backup_keys, restore_keys, verify_keys, set_passphrase, rotate_passphrase)
