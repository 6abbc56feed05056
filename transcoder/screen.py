"""`fab status` and `fab logs` for people: one screen, be it one node or two hundred, and journals side by side."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from transcoder import layout, report
from transcoder.errors import Failed, Refused, TranscoderError, Unreachable
from transcoder.recipes import bundle, logs
from transcoder.recipes.status import NodeStatus, is_healthy
from transcoder.world import Clock

ROWS = 40
"""As many nodes have a row each; of more only those that are not healthy have one, and the others are named."""
Others = Sequence[tuple[str, str, str]]
"""The machines that carry no node: name, id, what they are."""
Look = Callable[[], tuple[tuple[NodeStatus, ...], Others]]


def render(statuses: Sequence[NodeStatus], others: Others) -> RenderableType:
    """Return the screen: one node in full, several as a table with what is wrong and what to type below."""
    if len(statuses) <= 1:
        return report.render_statuses(statuses, others)
    bad = [status for status in statuses if status.problems]
    good = [status for status in statuses if not status.problems]
    shown = [*bad, *good] if len(statuses) <= ROWS else bad
    parts: list[RenderableType] = [Text(summary(statuses), style="green" if not bad else "bold red")]
    if shown:
        parts.append(_table(shown))
    parts += [Text(line, style="bold red") for line in problem_lines(bad)]
    if len(shown) < len(statuses):
        parts.append(Text(f"healthy: {', '.join(status.node.name for status in good) or 'none'}", style="green"))
    return Group(*parts, *report.other_lines(others))


def summary(statuses: Sequence[NodeStatus]) -> str:
    """Return how many of the nodes are healthy, in one line."""
    bad = [status.node.name for status in statuses if status.problems]
    if not statuses:
        return "no node in this environment"
    names = f": not {', '.join(bad)}" if bad else ""
    return f"{len(statuses) - len(bad)} of {len(statuses)} nodes healthy{names}"


def problem_lines(statuses: Sequence[NodeStatus]) -> list[str]:
    """Return what is wrong and what to type, once for all nodes of which the very same is to be said."""
    found: dict[str, list[str]] = {}
    for status in statuses:
        for problem in status.problems:
            found.setdefault(problem, []).append(status.node.name)
    return [f"  ! {', '.join(names)}: {problem}" for problem, names in found.items()]


def _table(statuses: Sequence[NodeStatus]) -> Table:
    table = Table(show_header=True)
    for column in ("node", "", "instance", "Elastic IP", "since", "chain", "round"):
        table.add_column(column, no_wrap=column == "node")
    for status in statuses:
        mark = Text("✗", style="bold red") if status.problems else Text("✓", style="green")
        table.add_row(status.node.name, mark, *(Text(text) for text in cells(status)))
    return table


def cells(status: NodeStatus) -> tuple[str, str, str, str, str]:
    """Return a row's texts: instance, Elastic IP, since when, chain, round."""
    machine, address = status.machine, status.node.address
    instance = f"{machine.instance.name} {machine.instance.state}" if machine else "-"
    chain, now = machine.chain if machine else None, machine.round if machine else None
    reward = ("pending" if now.reward_pending else f"called in {now.last_reward}") if now else ""
    return (
        instance,
        address.public_ip if address else "-",
        _since(status),
        f"block {chain.head}, {chain.peers} peers" if chain else "-",
        f"{now.current}, reward {reward}" if now else "-",
    )


def _since(status: NodeStatus) -> str:
    """Say since when the node is up, or since when its first part is not."""
    seen = status.machine.guest if status.machine else None
    if seen is None:
        return "-"
    states = [seen.service(data.service.unit) for data in status.node.parts]
    down = next((state for state in states if not state.running), None)
    if down is not None:
        return f"{down.unit} {down.active} {down.changed}".rstrip()
    return f"up {seen.service(layout.LIVEPEER.service.unit).since}"


def check(statuses: tuple[NodeStatus, ...]) -> None:
    """Raise an error when a node is not healthy, or there is none: for scripts, which read the exit code (4).

    :raises Failed: naming the nodes.
    """
    if not is_healthy(statuses):
        raise Failed(summary(statuses), hint="fab status says of each what to type")


def show(statuses: Sequence[NodeStatus], others: Others) -> None:
    """Print the screen on stdout."""
    report.console(stderr=False).print(render(statuses, others))


def watch(look: Look, clock: Clock, every: float, *, json_output: bool) -> None:
    """Look again every so many seconds, until Ctrl-C, which is the ordinary end of it.

    On a terminal each screen takes the place of the one before. Off a terminal they follow each other, each after a
    line with the time; as JSON each look is one line. A look that fails is told, and the next one is taken.
    """
    try:
        while True:
            _one_look(look, clock, json_output=json_output)
            clock.sleep(every)
    except KeyboardInterrupt:
        sys.stderr.write("\n")


def refuse_never_ending(every: float, *, check: bool) -> None:
    """Refuse what cannot be meant.

    :raises Refused: less than a second between looks, or an exit code wanted of what never ends.
    """
    if every < 1:
        raise Refused(f"--every {every:g}: at least 1 second", hint="fab status --watch --every 10")
    if check:
        raise Refused("--watch never ends, so --check would never tell", hint="fab status --check")


def _one_look(look: Look, clock: Clock, *, json_output: bool) -> None:
    console = report.console(stderr=False)
    at = datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="seconds")
    try:
        statuses, others = look()
    except TranscoderError as error:
        report.print_error(error)
        return
    if json_output:
        nodes = [status.describe() for status in statuses]
        sys.stdout.write(json.dumps({"at": at, "nodes": nodes}) + "\n")
        sys.stdout.flush()
        return
    _print_over(console, [Text(f"{at}   (Ctrl-C ends it)", style="dim"), render(statuses, others)])


def _print_over(console: Console, parts: Sequence[RenderableType]) -> None:
    """Print in place of what is on the terminal; off a terminal below it."""
    if console.is_terminal:
        console.clear()
    for part in parts:
        console.print(part)
    sys.stdout.flush()


class JournalTeller:
    """Prints journals on stdout, and what is missing of them on stderr.

    :param named: each line begins with the name of its node.
    :param since: told where a machine has nothing to tell; empty: that is not told.
    """

    def __init__(self, *, named: bool, since: str) -> None:
        self._named, self._since = named, since
        self._silent: list[str] = []

    def tell(self, pieces: Sequence[logs.Piece]) -> None:
        """Print what the machines have told."""
        for line in logs.merged(pieces, named=self._named):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
        for piece in pieces:
            if piece.problem:
                self._silent.append(piece.source.name)
                sys.stderr.write(f"{piece.source.name}: {piece.problem}\n")
            elif not piece.entries and self._since:
                sys.stderr.write(f"{piece.source.name}: nothing since {self._since}\n")

    def check(self) -> None:
        """Raise an error when a machine did not answer; the others have been told by then.

        :raises Unreachable: naming the nodes.
        """
        if self._silent:
            raise Unreachable(f"no journal of {', '.join(self._silent)}", hint="fab status says what to type")


def print_bundle(made: bundle.Bundle, path: Path, *, json_output: bool) -> None:
    """Print where a support bundle is, what is missing of it, and how much was masked."""
    if json_output:
        data = {
            "file": str(path),
            "parts": [part.path for part in made.parts if part.text],
            "missing": {part.path: part.note for part in made.missing},
            "never": dict(bundle.NEVER),
            "masked": dict(made.masked),
        }
        report.print_json(data)
        return
    sys.stderr.write("".join(f"missing: {part.path}: {part.note}\n" for part in made.missing))
    masked = sum(count for _, count in made.masked)
    sys.stdout.write(f"{path}: {sum(bool(part.text) for part in made.parts)} files, {masked} places masked\n")
    sys.stdout.write("look through it before you give it away: MANIFEST.txt says what is in it\n")
