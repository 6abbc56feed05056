"""Plans, results and statuses for people (rich) and for programs (JSON). stdout is the result, stderr is progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console as RichConsole
from rich.console import Group
from rich.table import Table
from rich.text import Text

from transcoder import layout
from transcoder.errors import Failed, Refused, TranscoderError
from transcoder.operate import Outcome
from transcoder.recipes import launch
from transcoder.recipes.list_keys import Held, Key
from transcoder.recipes.status import NodeStatus
from transcoder.settings import Settings
from transcoder.step import Event, Plan, Skip
from transcoder.step import Outcome as StepOutcome

if TYPE_CHECKING:  # eth-account, which it imports, takes most of a second
    from transcoder.recipes.verify_keys import Checked


def _console(stderr: bool) -> RichConsole:
    # A pipe or cron gets whole lines: rich would otherwise fold them at 80 columns.
    stream = sys.stderr if stderr else sys.stdout
    return RichConsole(stderr=stderr, highlight=False, width=None if stream.isatty() else 200)


def console(*, stderr: bool) -> RichConsole:
    """Return where something is printed for people: standard output is the result, standard error is progress."""
    return _console(stderr)


class TerminalConsole:
    """Shows plans and progress on stderr; asks on the terminal.

    :param yes: go on without asking.
    :param json_output: keep plans off the terminal: they are part of the JSON on stdout.
    """

    def __init__(self, *, yes: bool = False, json_output: bool = False) -> None:
        self._yes = yes
        self._json = json_output
        self._progress = _console(stderr=True)
        self.events: list[Event] = []

    def show(self, plan: Plan) -> None:
        """Print a plan."""
        if not self._json:
            self._progress.print(render_plan(plan))

    def confirm(self, question: str) -> None:
        """Ask; without a terminal and without ``--yes`` refuse rather than guess.

        :raises Refused: when the answer is not yes.
        """
        if self._yes:
            return
        if not sys.stdin.isatty():
            raise Refused(
                "not run: nobody is here to confirm it (no terminal)", hint="add --yes, or look with --dry-run"
            )
        if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
            raise Refused("not run: not confirmed")

    def watch(self, event: Event) -> None:
        """Print one line when a step ends."""
        self.events.append(event)
        if event.outcome is None:
            return
        mark = {StepOutcome.DONE: "✓", StepOutcome.SKIPPED: "·", StepOutcome.FAILED: "✗"}[event.outcome]
        tail = f" ({event.reason})" if event.reason and event.outcome is not StepOutcome.FAILED else ""
        line = f"{mark} {event.seconds:7.1f} s  {event.step.lane:<9} {event.step.title}{tail}"
        self._progress.print(Text(line))


def render_plan(plan: Plan) -> Table | Text:
    """Return a plan as a table; an empty one as one line."""
    if plan.empty:
        return Text(f"{plan.title}: nothing is to be done")
    table = Table(title=plan.title, title_justify="left", caption="\n".join(plan.notes), caption_justify="left")
    for column in ("lane", "step", "after"):
        table.add_column(column)
    for step in plan.steps:
        after = ", ".join(step.after) if step.skip is None else ""
        title = step.title if step.skip is None else f"{step.title} ({step.skip.value})"
        table.add_row(step.lane, Text(title, style="dim" if step.skip else ""), after)
    return table


def print_outcomes(outcomes: Sequence[Outcome], *, dry_run: bool, json_output: bool) -> None:
    """Print what operations did, or the one that was previewed would do. JSON is one document."""
    if json_output:
        data = {
            "dry_run": dry_run,
            "nothing_to_do": all(outcome.plan.empty for outcome in outcomes),
            "plan": outcomes[0].plan.describe(),
            "results": [result.describe() for outcome in outcomes for result in outcome.results],
        }
        print_json(data)
        return
    for outcome in outcomes:
        _console(stderr=False).print(f"{outcome.plan.title}: {_ended(outcome, dry_run)}")


def _ended(outcome: Outcome, dry_run: bool) -> str:
    if outcome.plan.empty:
        return "nothing is to be done"
    if dry_run:
        return "dry run: nothing was changed"
    return f"done in {sum(result.ended - result.started for result in outcome.results):.1f} s"


def print_json(data: Any) -> None:
    """Print data as JSON on stdout."""
    sys.stdout.write(json.dumps(data, indent=2, default=_plain, sort_keys=False) + "\n")


def _plain(value: Any) -> Any:
    """Return something JSON can hold: of EC2's things their ids, of mappings and sets plain ones."""
    if isinstance(value, layout.DataVolume):
        return value.role
    if hasattr(value, "describe_for_json"):
        return value.describe_for_json()
    for attribute in ("allocation_id", "id"):
        if hasattr(value, attribute):
            return getattr(value, attribute)
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, Skip):
        return value.value
    return dict(value) if hasattr(value, "items") else list(value) if hasattr(value, "__iter__") else str(value)


def print_statuses(statuses: Sequence[NodeStatus], machines: Sequence[tuple[str, str, str]]) -> None:
    """Print one screen: each node, its parts, and what to type when something is not right."""
    console(stderr=False).print(render_statuses(statuses, machines))


def render_statuses(statuses: Sequence[NodeStatus], machines: Sequence[tuple[str, str, str]]) -> Group:
    """Return nodes in full."""
    parts: list[Table | Text] = []
    if not statuses:
        parts.append(Text("no node in this environment: invoke launch"))
    for status in statuses:
        parts.append(_status_table(status))
        parts += [Text(f"  ! {problem}", style="bold red") for problem in status.problems]
        if not status.problems:
            parts.append(Text("  healthy", style="green"))
    return Group(*parts, *other_lines(machines))


def other_lines(machines: Sequence[tuple[str, str, str]]) -> list[Text]:
    """Return a line for each machine that carries no node."""
    return [Text(f"also here: {name} ({instance_id}): {what}", style="dim") for name, instance_id, what in machines]


def _status_table(status: NodeStatus) -> Table:
    table = Table(title=f"node {status.node.name}", title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("how it is")
    machine, address = status.machine, status.node.address
    instance = machine.instance if machine else None
    table.add_row(
        "instance", f"{instance.name} {instance.id} {instance.state} {instance.private_ip}" if instance else "-"
    )
    table.add_row("Elastic IP", f"{address.public_ip} at {address.instance_id or 'no instance'}" if address else "-")
    for data in status.node.parts:
        table.add_row(*_volume_row(status, data))
    for data in status.node.parts:
        table.add_row(*_service_row(status, data))
    if machine and machine.chain:
        table.add_row("chain", f"block {machine.chain.head}, {machine.chain.peers} peers")
    if machine and machine.round:
        state = "initialized" if machine.round.initialized else "not initialized"
        state += ", reward pending" if machine.round.reward_pending else ""
        table.add_row("round", f"{machine.round.current}, {state}; last reward in {machine.round.last_reward}")
    if machine and machine.marker:
        table.add_row("account", machine.marker.address or "none yet")
    return table


def _volume_row(status: NodeStatus, data: layout.DataVolume) -> tuple[str, str]:
    volume = status.node.volume(data)
    if volume is None:
        return data.label, "-"
    bond = volume.attachment
    where = f"{bond.state} at {bond.instance_id} as {bond.device}" if bond else volume.state
    seen = status.machine.guest if status.machine else None
    mounted = f", mounted at {data.mount}" if seen and seen.mounted(data.mount) else ""
    lazy = f", from {volume.snapshot_id}: each block is loaded when it is first read" if volume.snapshot_id else ""
    return data.label, f"{volume.id} {volume.size_gib} GiB {volume.zone}, {where}{mounted}{lazy}"


def _service_row(status: NodeStatus, data: layout.DataVolume) -> tuple[str, str]:
    seen = status.machine.guest if status.machine else None
    if seen is None:
        return data.service.unit, "?"
    state = seen.service(data.service.unit)
    limit = dict(status.machine.open_files).get(state.unit) if status.machine else None
    when = state.since if state.running else state.changed
    since = f" since {when}" if when else ""
    files = f", {limit} open files at most" if limit else ""
    return state.unit, f"{state.active} ({state.sub}){since}{files}"


def print_checks(checks: Sequence[Checked], *, json_output: bool) -> None:
    """Print what verifying the backups of a key found.

    :raises Failed: when one of them is not good.
    """
    if json_output:
        print_json([check.describe() for check in checks])
    else:
        table = Table("store", "address", "version", "backed up", "same as on the node", "proven", "found")
        for check in checks:
            compared = "yes" if check.compared and not check.problems else "not compared" if not check.compared else "-"
            found = "\n".join(check.problems) or "good"
            table.add_row(
                *(check.store, check.address, check.version, check.created, compared),
                "yes" if check.proven else "no",
                Text(found, style="bold red" if check.problems else "green"),
            )
        _console(stderr=False).print(table)
    if bad := [check.store for check in checks if check.problems]:
        raise Failed(f"not good: {', '.join(bad)}", hint="fab backup-keys, while the node still has its key")


def print_keys(keys: Sequence[Key], now: datetime) -> None:
    """Print every key: which node has it, which stores hold it, how old that is, verified when."""
    table = Table("node", "address", "store", "version", "age", "verified", "claimed for")
    for key in keys:
        nodes = "\n".join(key.nodes) or "no volume here"
        for held in key.stores or (Held("none"),):
            verified = f"{held.verified or 'never'}{', proven' if held.proven else ''}"
            row = (held.store, held.version, _age(held.stored, now), verified, held.claimed_for)
            table.add_row(nodes, key.address, *row)
    console = _console(stderr=False)
    console.print(table)
    for key in keys:
        for problem in (*key.problems, *(f"{held.store}: {held.problem}" for held in key.stores if held.problem)):
            console.print(Text(f"  ! {key.address}: {problem}", style="bold red"))


def _age(stored: str, now: datetime) -> str:
    if not stored:
        return "-"
    hours = (now - datetime.fromisoformat(stored)).total_seconds() / 3600
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{max(hours, 0):.0f} h"


def print_error(error: TranscoderError) -> None:
    """Print an expected error on stderr, without a traceback."""
    _console(stderr=True).print(Text("\n".join(error.lines()), style="bold red"))


def print_reach(observed: launch.Observed, settings: Settings) -> None:
    """Print how to reach the instance that was launched."""
    instance, address = observed.instance, observed.node.address
    if instance is None:
        return
    host = instance.private_ip if settings.ssh.address == "private" else instance.public_ip
    key = f"-i {settings.ssh.key_file} " if settings.ssh.key_file else ""
    console = _console(stderr=False)
    console.print(f"{instance.name} is {instance.id}: ssh {key}{settings.ssh.user}@{host}")
    if address is not None and address.instance_id == instance.id:
        console.print(f"Elastic IP {address.public_ip}")
