"""One turn: a command moves the node from its machine to a fresh one, timed from outside, and looked at afterwards."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import arrival, losses
from benchmarks.arena import Arena
from benchmarks.calls import CallLog, Calls
from benchmarks.downtime import AccountWatch, Down, asking, node_down
from benchmarks.results import OURS, Turn
from lab.rehearsal.bound import Unavoidable, injected_by
from lab.rehearsal.migration import began_at, read_migration
from lab.rehearsal.report import Migration
from lab.rehearsal.runner import Line
from lab.rehearsal.service_times import observe_services
from lab.rehearsal.watch import PORT, Downtime, Watcher, probe
from transcoder import layout
from transcoder.errors import Failed, TranscoderError
from transcoder.model import Instance
from transcoder.settings import child_environment

SETTLE_BUDGET = 90.0
"""Seconds for the node to be up again after a command has ended."""
THEIR_BUDGET = 1800.0
FOREIGN_CREDENTIALS = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
"""Of the operator's own environment: they would win over, or spoil, the key that a command is given."""


@dataclass(frozen=True)
class Moved:
    """What a command did: how it ended, how long it took; ours also says what it did (``document``, ``lines``)."""

    exit_code: int
    seconds: float
    document: Mapping[str, Any] | None = None
    lines: Sequence[Line] = ()
    problem: str = ""


Mover = Callable[[Arena, Instance, Instance], Callable[[], Moved]]
"""Gets ready to move the node from one machine to another, and returns what does it: only that is timed."""


def ours(arena: Arena, _source: Instance, target: Instance) -> Callable[[], Moved]:
    """Move the node with this project's own command line."""

    def move() -> Moved:
        arena.say(f"fab migrate --to {target.name}")
        done = arena.run("fab", "migrate", "--node", arena.node, "--to", target.id, "--ignore-round", "--yes", "--json")
        if done.exit_code:
            return Moved(done.exit_code, done.seconds, problem=done.failure(f"ended with {done.exit_code}").message)
        return Moved(0, done.seconds, done.documents()[-1], done.lines)

    return move


def theirs(command: str) -> Mover:
    """Return what moves the node with any other command; see `variables` for what it is told."""
    argv = shlex.split(command)

    def prepare(arena: Arena, source: Instance, target: Instance) -> Callable[[], Moved]:
        told = child_environment(**variables(arena, source, target))
        environment = {key: value for key, value in told.items() if key not in FOREIGN_CREDENTIALS}
        log = arena.output / "logs" / f"theirs-{target.name}.log"

        def move() -> Moved:
            arena.say(command)
            began = time.monotonic()
            with log.open("w", encoding="utf-8") as file:
                code = _wait(argv, environment, file.fileno())
            problem = f"`{command}` ended with {code}: {log}" if code else ""
            return Moved(code, time.monotonic() - began, problem=problem)

        return move

    return prepare


def _wait(argv: Sequence[str], environment: Mapping[str, str], output: int) -> int:
    """Run a command to its end and return its exit code; 124, as of ``timeout``, when it has to be killed."""
    null = subprocess.DEVNULL
    with subprocess.Popen(argv, env=environment, stdin=null, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            return process.wait(THEIR_BUDGET)
        except BaseException as error:
            process.kill()
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                return 124
            raise


def variables(arena: Arena, source: Instance, target: Instance) -> dict[str, str]:
    """Return what a compared command is told, as environment variables.

    :raises Failed: when the node lacks a volume or its Elastic IP.
    """
    settings, facts = arena.settings, arena.facts()
    if facts.livepeer is None or facts.geth is None or facts.address is None:
        raise Failed(f"node {arena.node} has not both volumes and an Elastic IP", hint="fab status")
    public = settings.ssh.address == "public"
    return {
        "EC2_ENDPOINT_URL": settings.aws.endpoint_url,
        "AWS_REGION": settings.aws.region,
        "AWS_ACCESS_KEY_ID": settings.aws.access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.aws.secret_access_key.get_secret_value(),
        "SOURCE_INSTANCE_ID": source.id,
        "TARGET_INSTANCE_ID": target.id,
        "SOURCE_ADDRESS": source.public_ip if public else source.private_ip,
        "TARGET_ADDRESS": target.public_ip if public else target.private_ip,
        "SSH_USER": settings.ssh.user,
        "SSH_KEY_FILE": settings.ssh.key_file,
        "LIVEPEER_VOLUME_ID": facts.livepeer.id,
        "GETH_VOLUME_ID": facts.geth.id,
        "LIVEPEER_DEVICE": settings.volumes.livepeer.device,
        "GETH_DEVICE": settings.volumes.geth.device,
        "LIVEPEER_MOUNT": layout.LIVEPEER.mount,
        "GETH_MOUNT": layout.GETH.mount,
        "LIVEPEER_UNIT": layout.LIVEPEER.service.unit,
        "GETH_UNIT": layout.GETH.service.unit,
        "ELASTIC_IP": facts.address.public_ip,
        "ELASTIC_IP_ALLOCATION_ID": facts.address.allocation_id,
    }


@dataclass(frozen=True)
class Watched:
    """A move and what was seen of it: ``down`` is None, and ``problem`` says why, where it could not be told."""

    moved: Moved
    calls: Calls
    outside: Downtime | None
    down: Down | None
    problem: str


def take(arena: Arena, number: int, who: str, mover: Mover, *, writes_records: bool) -> Turn:
    """Let ``mover`` move the node to a fresh machine; return what it cost and what is wrong afterwards.

    Whatever it leaves, the node is healthy on the target when this returns.

    :raises Failed: when even our own commands do not bring the node back.
    """
    target = arena.fresh_target()
    source = arena.carrier()
    before = arrival.look_before(arena, source, writes_records=writes_records)
    watched = _watch(arena, mover, source, target)
    wrong = [text for text in (watched.moved.problem, watched.problem) if text]
    wrong += arrival.problems(arena, before, source, target)
    migration = _explain(arena, watched, source, target)
    turn = Turn(
        number=number,
        who=who,
        source=source.name,
        target=target.name,
        seconds=watched.moved.seconds,
        downtime=watched.down.seconds if watched.down else None,
        calls=watched.calls,
        outside=watched.outside,
        bound=migration.bound if migration else None,
        steps=migration.steps if migration else (),
        losses=_losses(watched, migration),
        problems=tuple(wrong),
    )
    if wrong or who != OURS:
        arena.bring_home(target)
    return turn


def _watch(arena: Arena, mover: Mover, source: Instance, target: Instance) -> Watched:
    address = arena.facts().address
    if address is None:
        raise Failed(f"node {arena.node} has no Elastic IP", hint="fab status")
    log = CallLog(arena.configuration.state_directory / "calls.jsonl")
    start, move = asking(arena.settings, target.id), mover(arena, source, target)
    with AccountWatch(start) as inside, Watcher(lambda: probe(address.public_ip, PORT)) as watcher:
        watcher.settle(SETTLE_BUDGET)
        mark = log.mark()
        moved = move()
        end = log.mark()
        problem, outside, down = "", None, None
        try:
            watcher.settle(SETTLE_BUDGET)
            inside.wait_for(arena.account, SETTLE_BUDGET)
            outside = watcher.downtime()
            down = node_down(outside, inside.said, arena.account)
        except Failed as error:
            problem = error.message
    return Watched(moved, log.since(mark, end), outside, down, problem)


def _explain(arena: Arena, watched: Watched, source: Instance, target: Instance) -> Migration | None:
    """Read what our own command says that it did; None for any other command, and where ours failed."""
    document = watched.moved.document
    if document is None:
        return None
    try:
        services = observe_services(document["plan"]["steps"], arena.host, (source, target))
        return read_migration(document, Unavoidable(injected_by(arena.configuration.latencies), services))
    except TranscoderError as error:
        arena.say(f"no bound: {error.message}")
        return None


def _losses(watched: Watched, migration: Migration | None) -> tuple[losses.Loss, ...]:
    document, down = watched.moved.document, watched.down
    if document is None or migration is None or down is None:
        return ()
    zero = began_at([asdict(step) for step in migration.steps], watched.moved.lines)
    if zero is None:
        return ()
    return losses.follow(document["plan"]["steps"], migration.steps, down.began - zero, down.ended - zero)
