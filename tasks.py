"""What makes and ends machines, and the lab. `invoke --list` is the table of contents, `invoke --help TASK` has more.

Every task parses, calls the library and prints; nothing is decided here.
"""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from transcoder import app

ENV = "environment: a name in environments/ or a path to a TOML file (default: $TRANSCODER_ENV, else lab)"
YES = "go on without asking"
DRY_RUN = "print what would be done, change nothing"
JSON = "print the result as JSON on stdout"
NODE = "the node (default: the environment's node.default)"


@app.task(
    help={
        "env": ENV,
        "dry-run": "print the HCL and what would be baked, change nothing",
        "force": "bake although an image of the same inputs exists",
        "verify": "--no-verify: do not boot and test it; `invoke launch` does not take it then",
        "packer-version": "with --dry-run: write for this Packer (1.6, or 1.11 and later), not the installed one",
        "yes": YES,
        "json": JSON,
    }
)
def bake_ami(
    _context: Context,
    env: str = "",
    dry_run: bool = False,
    force: bool = False,
    verify: bool = True,
    packer_version: str = "",
    yes: bool = False,
    json: bool = False,
) -> None:
    """
    Bake the environment's AMI with Packer and verify it. One of the very same inputs is returned, not baked again.

    Examples:
        invoke bake-ami --dry-run
        invoke bake-ami --env bionic-2018
        invoke bake-ami --env arbitrum --dry-run --packer-version 1.11
    """
    from packer import command

    settings = app.settings(env)
    with app.world(settings) as world:
        command.bake_ami(
            world,
            dry_run=dry_run,
            force=force,
            yes=yes,
            json_output=json,
            packer_version=packer_version,
            verify=verify,
        )


@app.task(
    help={
        "env": ENV,
        "ami": "the image (default: the newest baked for this environment)",
        "yes": YES,
        "dry-run": "list the checks, launch nothing",
        "json": JSON,
    }
)
def verify_ami(
    _context: Context, env: str = "", ami: str = "", yes: bool = False, dry_run: bool = False, json: bool = False
) -> None:
    """
    Boot an AMI once, test it from outside, terminate the machine, and mark the AMI as verified when all checks pass.

    Examples:
        invoke verify-ami --dry-run
        invoke verify-ami --ami ami-0123 --yes
    """
    from packer.verify import command

    settings = app.settings(env)
    with app.world(settings) as world:
        command.verify_ami(world, ami, yes=yes, dry_run=dry_run, json_output=json)


@app.task(help={"env": ENV, "json": JSON})
def amis(_context: Context, env: str = "", json: bool = False) -> None:
    """
    List the environment's AMIs: versions, age, verified or not, who uses them, copies in other regions.

    Examples:
        invoke amis
        invoke amis --json
    """
    from transcoder import report_amis
    from transcoder.recipes import amis as recipe

    settings = app.settings(env)
    with app.world(settings) as world:
        report_amis.print_rows(recipe.rows(recipe.observe(world)), settings.name, as_json=json)


@app.task(
    help={
        "env": ENV,
        "keep": "how many of the newest verified AMIs stay (default: 3)",
        "yes": YES,
        "dry-run": DRY_RUN,
        "json": JSON,
    }
)
def retire_amis(
    _context: Context, env: str = "", keep: int = 3, yes: bool = False, dry_run: bool = False, json: bool = False
) -> None:
    """
    Deregister old AMIs and delete their snapshots. The newest verified ones stay, and all that anything uses.

    Examples:
        invoke retire-amis --dry-run
        invoke retire-amis --keep 2 --yes
    """
    from transcoder.recipes import retire_amis as recipe

    settings = app.settings(env)
    with app.world(settings) as world:
        app.perform(world, recipe.operation(keep), yes=yes, dry_run=dry_run, json=json)


@app.task(
    help={
        "env": ENV,
        "node": NODE,
        "name": "Name and host name of the instance (default: the node's name)",
        "ami": "launch from this image (default: the newest verified one of this environment)",
        "unverified": "take an image also when it has not been verified",
        "spare": "an idle machine for a node to be migrated to: no volumes, no address",
        "restore-keys": "put the node's key out of its store in place before livepeer starts for the first time",
        "store": "where the key is: ssm, secrets-manager, vault or age (default: the environment's keys.store)",
        "address": "which key, where the environment does not say so",
        "source-lost": "with --restore-keys: the other node with this key is lost for good",
        "yes": YES,
        "dry-run": DRY_RUN,
        "json": JSON,
    }
)
def launch(
    _context: Context,
    env: str = "",
    node: str = "",
    name: str = "",
    ami: str = "",
    spare: bool = False,
    unverified: bool = False,
    restore_keys: bool = False,
    store: str = "",
    address: str = "",
    source_lost: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Launch a node: instance, Elastic IP, data volumes (created, or the existing ones by their tags), services.

    Examples:
        invoke launch --dry-run
        invoke launch --node tc001 --yes
        invoke launch --spare --name tc001-b --yes
        invoke launch --restore-keys --address 0x0f544432cb27103055d8c1b5fba0e45f5a9ccea8
    """
    from transcoder import report
    from transcoder.recipes import attach, restored_launch
    from transcoder.recipes import launch as recipe

    settings = app.settings(env)
    request = recipe.Request(node or settings.node.default, name, ami, spare, unverified)
    volumes = [] if spare else [attach.operation(attach.Request(request.node, request.instance_name))]
    with app.world(settings) as world:
        if restore_keys:
            volumes += restored_launch.operations(world, request, store, address, source_lost=source_lost)
        app.perform(world, recipe.operation(request), *volumes, yes=yes, dry_run=dry_run, json=json)
        if not dry_run and not json:
            report.print_reach(recipe.observe(world, request), settings)


@app.task(
    help={
        "env": ENV,
        "node": NODE,
        "instance": "a Name or an instance id (default: the instance that carries the node)",
        "yes": YES,
        "dry-run": DRY_RUN,
        "json": JSON,
    }
)
def terminate(
    _context: Context,
    env: str = "",
    node: str = "",
    instance: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Terminate an instance. A node on it is stopped first and its volumes detached: the data stays.

    Examples:
        invoke terminate --dry-run
        invoke terminate --instance tc001-b --yes
    """
    from transcoder.recipes import detach as recipe

    settings = app.settings(env)
    request = recipe.Request(node or settings.node.default, instance, terminate=True)
    with app.world(settings) as world:
        app.perform(world, recipe.operation(request), yes=yes, dry_run=dry_run, json=json)


@app.task(
    help={
        "env": ENV,
        "store": "ssm, secrets-manager, vault or age (default: all that the environment names)",
        "json": JSON,
    }
)
def keys(_context: Context, env: str = "", store: str = "", json: bool = False) -> None:
    """
    List every key: which node has it, which stores hold it, how old that is, and when it was verified.

    Examples:
        invoke keys
        invoke keys --store age --json
    """
    from datetime import UTC, datetime

    from transcoder import keystores, report
    from transcoder.recipes import list_keys

    settings = app.settings(env)
    with app.world(settings) as world:
        found = list_keys.observe(world, [store] if store else keystores.configured(settings))
    if json:
        report.print_json([key.describe() for key in found])
    else:
        report.print_keys(found, datetime.now(UTC))


@app.task(help={"env": ENV})
def lab_up(_context: Context, env: str = "") -> None:
    """
    Start EC2 on this machine. Clears what an earlier crash left; a lab that is up stays as it is.

    Examples:
        invoke lab.up
    """
    from lab import show

    show.up(app.settings(env))


@app.task(help={"env": ENV, "json": JSON})
def lab_status(_context: Context, env: str = "", json: bool = False) -> None:
    """
    Show the lab's instances, volumes, addresses and images.

    Examples:
        invoke lab.status
    """
    from lab import show

    show.status(app.settings(env), as_json=json)


@app.task(help={"env": ENV, "forget-images": "remove its baked AMIs too, which else come back with the next lab.up"})
def lab_down(_context: Context, env: str = "", forget_images: bool = False) -> None:
    """
    End the lab: machines, volumes, network. Nothing is left behind, which is checked, but the newest two baked AMIs.

    Examples:
        invoke lab.down
        invoke lab.down --forget-images
    """
    from lab import show

    show.down(app.settings(env), forget_images=forget_images)


@app.task(
    help={
        "env": ENV,
        "instance": "an instance id or Name: its console (default: the lab's own log)",
        "follow": "go on as it grows",
    }
)
def lab_logs(_context: Context, env: str = "", instance: str = "", follow: bool = False) -> None:
    """
    Print the lab's own log, or the console of a machine.

    Examples:
        invoke lab.logs
        invoke lab.logs --instance tc001 --follow
    """
    from lab import show

    show.logs(app.settings(env), instance, follow=follow)


@app.task(help={"env": ENV, "instance": "an instance id or Name (default: the only one that runs)"})
def lab_shell(_context: Context, env: str = "", instance: str = "") -> None:
    """
    Log in to a machine of the lab.

    Examples:
        invoke lab.shell
        invoke lab.shell --instance tc001
    """
    from invoke.exceptions import Exit

    from lab import show

    raise Exit(code=show.shell(app.settings(env), instance))


@app.task(
    positional=["name", "switch"],
    help={
        "name": "the fault; invoke lab.faults lists them",
        "switch": "on or off; twice is as good as once, and off without options ends all of that name",
        "env": ENV,
        "instance": "a Name or an instance id",
        "volume": "livepeer, geth or a volume id",
        "device": "a device name, such as /dev/sdg",
        "action": "an action of EC2 or SSM, such as DetachVolume",
        "code": "an error code of AWS, or ConnectionReset: the call takes effect, its answer is lost",
        "nth": "the first call that is hit",
        "count": "how many",
        "share": "0 to 1",
        "seed": "of the dice",
        "seconds": "how long, how old or how far",
        "step": "key of a step, such as livepeer/detach",
        "at": "begin or end of that step",
        "after": "seconds after that",
        "journal": "the operator's journal (default: the environment's)",
        "unit": "a service",
        "severity": "severe or mild",
        "no-serial": "disks without serial numbers, as on Xen",
        "hold": "nothing may set it right again",
        "lasts": "seconds after which it ends by itself",
        "json": JSON,
    },
)
def lab_fault(
    _context: Context,
    name: str,
    switch: str,
    env: str = "",
    instance: str = "",
    volume: str = "",
    device: str = "",
    action: str = "",
    code: str = "",
    nth: str = "",
    count: str = "",
    share: str = "",
    seed: str = "",
    seconds: str = "",
    step: str = "",
    at: str = "",
    after: str = "",
    journal: str = "",
    unit: str = "",
    severity: str = "",
    no_serial: bool = False,
    hold: bool = False,
    lasts: str = "",
    json: bool = False,
) -> None:
    """
    Break something in the lab, or mend it. Which options a fault takes: invoke lab.faults.

    Examples:
        invoke lab.fault power_off on --instance tc001
        invoke lab.fault partition on --instance tc001 --lasts 60
        invoke lab.fault api_error on --action DetachVolume --code UnauthorizedOperation
        invoke lab.fault stuck_attaching on --volume livepeer
        invoke lab.fault kill_operator on --step livepeer/detach
        invoke lab.fault geth_stall on
        invoke lab.fault power_off off
    """
    given = {key: value for key, value in locals().items() if key not in ("_context", "name", "switch", "env", "json")}
    from lab.faults import show

    show.switch(app.settings(env), name, switch, given, as_json=json)


@app.task(help={"env": ENV, "json": JSON})
def lab_faults(_context: Context, env: str = "", json: bool = False) -> None:
    """
    List the faults of the lab with their options, and those that are on.

    Examples:
        invoke lab.faults
        invoke lab.faults --json
    """
    from lab.faults import show

    show.faults(app.settings(env), as_json=json)


@app.task(help={"json": JSON})
def catalog(_context: Context, json: bool = False) -> None:
    """
    Print which versions of livepeer and geth are supported, on which systems and networks, and how they differ.

    Examples:
        invoke catalog
        invoke catalog --json
    """
    from transcoder.catalog import show

    show.show(as_json=json)


@app.task(
    help={
        "policy": "operator, bake or instance (default: all three, by name)",
        "env": ENV,
        "account": "the AWS account, twelve digits (default: *)",
        "json": JSON,
    },
)
def iam(_context: Context, policy: str = "", env: str = "", account: str = "", json: bool = False) -> None:
    """
    Print the IAM policy of who operates, who bakes, or the machine itself.

    Examples:
        invoke iam
        invoke iam --policy operator --account 123456789012 --json
    """
    from transcoder import iam as policies

    policies.show(policy, app.settings(env), account, as_json=json)


@app.task(
    help={
        "env": ENV,
        "node": "only this node (default: all nodes of the environment)",
        "parallel": "how many nodes at the same time (default: 1)",
        "keep-going": "go on with the other nodes when one has failed",
        "max-age": "leave a service alone that was started within so many hours (default: 0, none is)",
        "wait-sessions": "seconds that sessions may take to end before they are cut (default: the environment's, 600)",
        "ignore-round": "restart also a node whose reward of this round is still to be called",
        "quiet": "print nothing unless a node was not restarted that should have been: for cron",
        "log": "append every line to this file, whatever is printed",
        "dry-run": DRY_RUN,
        "json": JSON,
    }
)
def nightly_restart(
    _context: Context,
    env: str = "",
    node: str = "",
    parallel: int = 1,
    keep_going: bool = False,
    max_age: float = 0.0,
    wait_sessions: str = "",
    ignore_round: bool = False,
    quiet: bool = False,
    log: str = "",
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Restart every node as `fab restart` does, one after the other. Asks nothing; ends at the first node that fails.

    Two never run at once. Exit code: that of the worst node (3 refused, 4 failed, 5 silent), 0 when all are well.

    Examples:
        invoke nightly-restart --dry-run
        invoke nightly-restart --quiet --max-age 20
        invoke nightly-restart --parallel 5 --keep-going --json
    """
    from transcoder import alone, report_restarts
    from transcoder.recipes import nightly, restart
    from transcoder.settings import state_directory

    each = restart.Request("", "all", ignore_round, app.seconds(wait_sessions), max_age * 3600)
    request = nightly.Request(parallel, keep_going, dry_run, node, each)
    file = report_restarts.Log(log)
    with report_restarts.kept(file, env):
        settings = app.settings(env, quiet=quiet)
        lock = state_directory() / f"nightly-restart-{settings.name}.lock"
        with alone.alone(lock, f"a nightly restart of {settings.name}"), app.watched_world(settings) as world:
            rows = nightly.run(world, request, report_restarts.teller(file, quiet=quiet))
    report_restarts.keep(rows, settings.name, file)
    report_restarts.print_rows(rows, settings.name, quiet=quiet, as_json=json)
    app.end(nightly.exit_code(rows))


@app.task(
    help={
        "env": ENV,
        "at": "from which minute of the day on, HH:MM in UTC (default: 03:00)",
        "within": "minutes from then; the one that it is, is thrown once (default: 60)",
        "max-age": "hours: leave a service alone that was started within them (default: 12)",
        "dry-run": DRY_RUN,
        "json": JSON,
    }
)
def cron_install(
    _context: Context,
    env: str = "",
    at: str = "03:00",
    within: int = 60,
    max_age: float = 12.0,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """
    Have cron restart the environment's nodes every night: one entry in your crontab, however often this is typed.

    Examples:
        invoke cron.install --dry-run
        invoke cron.install --env arbitrum --at 02:30 --within 90
    """
    from transcoder import report_restarts
    from transcoder.recipes import cron

    shown = cron.install(app.settings(env), at, within, max_age, dry_run=dry_run)
    report_restarts.print_cron(shown, as_json=json)


@app.task(help={"env": ENV, "json": JSON})
def cron_show(_context: Context, env: str = "", json: bool = False) -> None:
    """
    Print the environment's entry in your crontab, when it runs next, and how the last run ended.

    Examples:
        invoke cron.show
        invoke cron.show --env arbitrum --json
    """
    from transcoder import report_restarts
    from transcoder.recipes import cron

    report_restarts.print_cron(cron.show(app.settings(env)), as_json=json)


@app.task(help={"env": ENV, "dry-run": DRY_RUN, "json": JSON})
def cron_remove(_context: Context, env: str = "", dry_run: bool = False, json: bool = False) -> None:
    """
    Take the environment's entry out of your crontab. Other lines stay as they are.

    Examples:
        invoke cron.remove --dry-run
        invoke cron.remove --env arbitrum
    """
    from transcoder import report_restarts
    from transcoder.recipes import cron

    report_restarts.print_cron(cron.remove(app.settings(env), dry_run=dry_run), as_json=json)


@app.task(
    help={"env": ENV, "yes": YES, "dry-run": "print the CloudFormation template, change nothing", "json": JSON},
)
def monitoring_deploy(
    _context: Context, env: str = "", yes: bool = False, dry_run: bool = False, json: bool = False
) -> None:
    """
    Alarms in CloudWatch for the nodes that there are: make or change their CloudFormation stack by a change set.

    Examples:
        invoke monitoring.deploy --dry-run
        invoke monitoring.deploy --env bionic-2018 --yes
    """
    from transcoder import report_stack
    from transcoder.recipes import monitoring as recipe

    settings = app.settings(env)
    with app.world(settings) as world:
        if dry_run:
            report_stack.print_template(recipe.template(world), as_json=json)
            return
        outcome = recipe.deploy(world, report_stack.StackConsole(yes=yes, json_output=json))
    report_stack.print_outcome(outcome, settings, looked=False, as_json=json)


@app.task(help={"env": ENV, "json": JSON})
def monitoring_diff(_context: Context, env: str = "", json: bool = False) -> None:
    """
    Show what monitoring.deploy would change, in CloudFormation's own words. Changes nothing.

    Examples:
        invoke monitoring.diff
        invoke monitoring.diff --json
    """
    from transcoder import report_stack
    from transcoder.recipes import monitoring as recipe

    settings = app.settings(env)
    with app.world(settings) as world:
        outcome = recipe.diff(world, report_stack.StackConsole(json_output=json))
    report_stack.print_outcome(outcome, settings, looked=True, as_json=json)


@app.task(help={"env": ENV, "yes": YES, "dry-run": "say what would be deleted, change nothing", "json": JSON})
def monitoring_remove(
    _context: Context, env: str = "", yes: bool = False, dry_run: bool = False, json: bool = False
) -> None:
    """
    Delete the stack of the environment's alarms. Nodes go on sending, and nobody gets mail.

    Examples:
        invoke monitoring.remove --dry-run
        invoke monitoring.remove --yes
    """
    from transcoder import report_stack
    from transcoder.recipes import monitoring as recipe

    settings = app.settings(env)
    with app.world(settings) as world:
        console = report_stack.StackConsole(yes=yes, json_output=json)
        outcome = recipe.remove(world, console, dry_run=dry_run)
    report_stack.print_outcome(outcome, settings, looked=dry_run, as_json=json)


namespace = Collection(amis, bake_ami, catalog, iam, keys, launch, nightly_restart, retire_amis, terminate, verify_ami)
lab = Collection("lab")
for _task, _name in (
    (lab_up, "up"),
    (lab_status, "status"),
    (lab_down, "down"),
    (lab_logs, "logs"),
    (lab_shell, "shell"),
    (lab_fault, "fault"),
    (lab_faults, "faults"),
):
    lab.add_task(_task, name=_name)
namespace.add_collection(lab)
cron = Collection("cron")
for _task, _name in ((cron_install, "install"), (cron_show, "show"), (cron_remove, "remove")):
    cron.add_task(_task, name=_name)
namespace.add_collection(cron)
monitoring = Collection("monitoring")
for _task, _name in ((monitoring_deploy, "deploy"), (monitoring_diff, "diff"), (monitoring_remove, "remove")):
    monitoring.add_task(_task, name=_name)
namespace.add_collection(monitoring)
