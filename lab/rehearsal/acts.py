"""What each act of the rehearsal does. Most run their command line; some look at what it left and prove something."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab import commands, kept_images, leftovers
from lab.rehearsal import cloud_state, look, records, service_times
from lab.rehearsal.bound import Unavoidable, injected_by
from lab.rehearsal.migration import read_migration
from lab.rehearsal.records import Kept
from lab.rehearsal.report import Bake
from lab.rehearsal.stage import Stage, known
from lab.rehearsal.watch import PORT, Downtime, Watcher, probe
from transcoder import tags
from transcoder.actions.cloud import node_address
from transcoder.errors import Failed
from transcoder.model import Image, Instance, Volume

MARKER = "rehearsal"
"""File in the lab's state directory: a rehearsal has started this lab, so the next one may take it down."""
RECORDS_BUDGET = 60.0
OUTSIDE_BUDGET = 60.0
"""Seconds for the node to answer from outside."""
POLL = 0.5
BUILDER = "amazon-ebs"
MILESTONES = (
    "Found Image ID",
    "Instance ID",
    "Connected to SSH",
    "Creating AMI",
    "AMI: ami-",
    "Terminating the source",
)
"""What the builder's lines say that show a machine was launched, changed and made an AMI of."""
PACKER_TAG, SOURCE_TAG = f"{tags.PREFIX}packer", f"{tags.PREFIX}source-ami"
"""On an AMI: the version of Packer that baked it, and the stock image that it started from."""
NOTHING = "nothing is to be done"


def run(stage: Stage) -> None:
    """Run the command line; it must succeed."""
    stage.succeed()


def start_lab(stage: Stage) -> None:
    """Start the lab, and note that it is a rehearsal's."""
    stage.succeed()
    (stage.configuration.state_directory / MARKER).touch()
    ready = known(commands.read_ready(stage.configuration), "the lab that has just come up")
    stage.seen.facts["stock image"] = f"{ready.stock_image} ({ready.stock_image_id})"
    stage.seen.facts["machines"] = f"{stage.configuration.machines}, latency profile {stage.configuration.latency}"


def bake(stage: Stage) -> None:
    """Bake, and keep what the builder said; or get the image that was baked before, and keep what EC2 says of it."""
    finished = stage.succeed()
    said = dict(finished.documents()[-1])
    image = known(next(iter(stage.world.cloud.images(ids=[said["ami"]])), None), f"the AMI {said['ami']}")
    lines = tuple(line.strip() for line in finished.stderr.splitlines() if f" {BUILDER}." in f" {line}")
    stage.seen.bake = Bake(
        ami=said["ami"],
        name=said["name"],
        packer=said["packer"] if said["baked"] else image.tags.get(PACKER_TAG, "an unknown version"),
        builder=said["builder"],
        fresh=bool(said["baked"]),
        seconds=float(said["seconds"]),
        lines=lines,
        created=image.created,
    )
    if stage.seen.bake.fresh:
        _prove_baked(stage, stage.seen.bake, finished.log)
    else:
        _prove_baked_before(stage, stage.seen.bake, image, said["digest"])


def _prove_baked(stage: Stage, baked: Bake, log: Path) -> None:
    shown = [line for line in baked.lines if any(words in line for words in MILESTONES)]
    made = any(baked.ami in line for line in baked.lines)
    evidence = "\n".join(shown) or f"no line of {BUILDER} in {log}"
    stage.prove(f"Packer baked the AMI with its {BUILDER} builder", made, evidence)


def _prove_baked_before(stage: Stage, baked: Bake, image: Image, digest: str) -> None:
    """The tags were set by Packer at the end of its bake, so they say what it baked, and from what."""
    stock = known(commands.read_ready(stage.configuration), "the lab that is up").stock_image_id
    source, inputs = image.tags.get(SOURCE_TAG), image.tags.get(tags.DIGEST)
    same = (inputs, source) == (digest, stock) and PACKER_TAG in image.tags
    shown = "of the very same inputs" if same else "but its tags do not show that Packer baked it of these inputs"
    evidence = (
        f"baked by Packer {baked.packer} ({baked.builder}) at {baked.created}, {shown}\n"
        f"{tags.DIGEST}: {inputs}\nof the inputs now: {digest}\n"
        f"{SOURCE_TAG}: {source}, the stock image now: {stock}"
    )
    stage.prove(f"Packer baked the AMI earlier with its {BUILDER} builder, of the same inputs", same, evidence)


def launch(stage: Stage) -> None:
    """Launch the node's machine."""
    stage.succeed()
    stage.seen.source = _instance(stage, stage.plot.first)
    address = known(node_address(stage.world, stage.plot.node), "the node's Elastic IP")
    stage.seen.elastic_ip = address.public_ip
    stage.seen.facts["Elastic IP"] = address.public_ip


def await_records(stage: Stage) -> None:
    """Ask the programs what they are; where livepeer is the stand-in, wait until it writes records."""
    host = stage.host(stage.source)
    stage.seen.programs = look.programs(host)
    stage.seen.facts["system of the machines"] = look.system(host)
    if _writes_records(stage):
        first = 0

        def writing() -> bool:
            nonlocal first
            number = look.records_tail(host).last
            first = first or number
            return number > first

        _poll(writing, RECORDS_BUDGET, f"livepeer writes no records to {records.PATH}")


def launch_spare(stage: Stage) -> None:
    """Launch the machine that the node will move to."""
    stage.succeed()
    stage.seen.target = _instance(stage, stage.plot.second)


def look_before(stage: Stage) -> None:
    """Note who the node is: its account and the digests of its keys."""
    status = _status(stage)
    stage.seen.address = status["address"]
    stage.seen.volumes = tuple(volume["id"] for volume in status["volumes"].values() if volume)
    stage.seen.identity = dict(look.identity(stage.host(stage.source)))
    stage.seen.facts["account"] = status["address"]
    problems = "; ".join(status["problems"]) or "fab status: healthy"
    stage.prove("the node is healthy before it moves", bool(status["healthy"]), problems)


def preview(stage: Stage) -> None:
    """Preview the migration: it has a plan, runs none of it, and leaves EC2 as it was."""
    settings = stage.world.settings
    before = cloud_state.take(settings)
    document = stage.succeed().documents()[-1]
    after = cloud_state.take(settings)
    pending = [step for step in document["plan"]["steps"] if not step["skip"]]
    evidence = f"{len(pending)} steps to do, {len(document['results'])} done"
    stage.prove("--dry-run prints the plan and runs none of it", bool(pending) and not document["results"], evidence)
    _prove_unchanged(stage, "--dry-run changes nothing in EC2", before, after)


def migrate(stage: Stage) -> None:
    """Migrate, asking the node from outside all the time."""
    address = known(stage.seen.elastic_ip or None, "the node's Elastic IP")
    with Watcher(lambda: probe(address, PORT)) as watcher:
        watcher.settle(OUTSIDE_BUDGET)
        if _writes_records(stage):
            stage.seen.known_record = look.records_tail(stage.host(stage.source)).last
        finished = stage.succeed()
        document = finished.documents()[-1]
        unavoidable = _unavoidable(stage, document["plan"]["steps"])
        stage.seen.migration = read_migration(document, unavoidable)
        watcher.settle(OUTSIDE_BUDGET)
    outside = watcher.downtime()
    stage.seen.migration = read_migration(document, unavoidable, finished.lines, outside)
    claim = f"the node answers from outside again, at {address}:{PORT}"
    stage.prove(claim, bool(outside.outages), _outside_evidence(outside))


def _unavoidable(stage: Stage, plan: Sequence[Mapping[str, Any]]) -> Unavoidable:
    services = service_times.observe_services(plan, stage.host, (stage.source, stage.target))
    return Unavoidable(injected_by(stage.configuration.latencies), services)


def _outside_evidence(outside: Downtime) -> str:
    if not outside.outages:
        return f"{outside.asked} answers, all good: the node cannot have moved"
    problems = dict.fromkeys(problem for outage in outside.outages for problem in outage.problems)
    times = " + ".join(f"{outage.seconds:.2f} s" for outage in outside.outages)
    asked = f"{outside.good} of {outside.asked} answers were good, asked every {outside.interval * 1000:.0f} ms"
    return f"no good answer for {times}; {asked}; in between: {', '.join(problems)}"


def migrate_again(stage: Stage) -> None:
    """The same command again has nothing to do, and does nothing."""
    before = cloud_state.take(stage.world.settings)
    finished = stage.succeed()
    after = cloud_state.take(stage.world.settings)
    said = finished.stdout.strip()
    stage.prove("the same migration again says that nothing is to be done", NOTHING in said, said)
    _prove_unchanged(stage, "the same migration again changes nothing in EC2", before, after)


def prove_target(stage: Stage) -> None:
    """The new machine has the volumes, by label, and runs both services with their limits."""
    host, name = stage.host(stage.target), stage.target.name
    for claim, shown in (
        (f"{name} has both volumes", look.has_volumes(host)),
        (f"{name} has them mounted at /d1 and /d2, found by label", look.mounted_by_label(host)),
        (f"both services are active on {name}", look.services_are(host, "active")),
        (f"both services on {name} may open {look.OPEN_FILES} files", look.open_files(host)),
    ):
        stage.prove(claim, shown.as_claimed, shown.text)


def prove_source(stage: Stage) -> None:
    """The old machine has neither volume and runs neither service."""
    host, name = stage.host(stage.source), stage.source.name
    for claim, shown in (
        (f"{name} has neither volume", look.has_no_volume(host, stage.seen.volumes)),
        (f"both services are inactive on {name}", look.services_are(host, "inactive")),
    ):
        stage.prove(claim, shown.as_claimed, shown.text)


def prove_cloud(stage: Stage) -> None:
    """EC2 has the address and the volumes at the new machine, and the old one is running and retired."""
    cloud, node, old, new = stage.world.cloud, stage.plot.node, stage.source, stage.target
    address = known(node_address(stage.world, node), "the node's Elastic IP")
    same = address.public_ip == stage.seen.elastic_ip
    where = f"{address.public_ip} is at {address.instance_id or 'no instance'}"
    stage.prove(f"the Elastic IP is at {new.name}", same and address.instance_id == new.id, where)
    volumes = cloud.volumes(ids=stage.seen.volumes) if stage.seen.volumes else ()
    shown = "\n".join(_whereabouts(volume) for volume in volumes)
    there = len(volumes) == 2 and all(volume.attached_to(new.id) for volume in volumes)
    stage.prove(f"EC2 calls both volumes attached to {new.name}", there, shown)
    for instance, claim, key in (
        (old, "runs on, tagged as retired", tags.RETIRED),
        (new, "carries the node", tags.NODE),
    ):
        now = next(iter(cloud.instances(ids=[instance.id])), None)
        found = f"{instance.id} is {now.state}, {key}={now.tags.get(key)}" if now else f"{instance.id} is gone"
        good = now is not None and now.state == "running" and now.tags.get(key) == node
        stage.prove(f"{instance.name} {claim}", good, found)


def _whereabouts(volume: Volume) -> str:
    bond = volume.attachment
    return f"{volume.id}: {f'{bond.state} at {bond.instance_id} as {bond.device}' if bond else volume.state}"


def prove_identity(stage: Stage) -> None:
    """The node is who it was: the same account, the same keys, in good health."""
    status, before = _status(stage), stage.seen.address
    now = status["address"]
    same = bool(before) and before.lower() == now.lower()
    stage.prove("livepeer runs as the same Ethereum account", same, f"before: {before or '-'}\nafter:  {now or '-'}")
    files, old = dict(look.identity(stage.host(stage.target))), stage.seen.identity
    shown = "\n".join(f"{digest[:16]}… {path}" for path, digest in sorted(files.items())) or "no key files"
    stage.prove("the node's key files are the same, byte by byte", bool(files) and files == old, shown)
    problems = "; ".join(status["problems"]) or "fab status: healthy"
    stage.prove("the node is healthy after it has moved", bool(status["healthy"]), problems)


def prove_records(stage: Stage) -> None:
    """Every record that was written up to the stop is found, none twice, none damaged."""
    if not _writes_records(stage):
        stage.seen.hints.append("the real livepeer writes no numbered records: their loss was not measured")
        return
    host = stage.host(stage.target)
    scan = look.all_records(host)
    resumed = records.resumed_from(look.livepeer_journal(host))
    kept = Kept(
        known=stage.seen.known_record,
        written=records.last_written(look.livepeer_journal(stage.host(stage.source))),
        found=resumed - 1 if resumed is not None else None,
        total=len(scan.records),
        pause_seconds=round(scan.longest_pause, 3),
        problems=scan.problems(),
    )
    stage.seen.records = kept
    held = f"{stage.source.name}: wrote up to {kept.written}\n{stage.target.name}: found up to {kept.found}"
    equal = kept.written is not None and kept.written == kept.found
    stage.prove("all records written up to the stop were found", equal, held)
    synced = f"read on {stage.source.name} before the migration: {kept.known}; found: {kept.found}"
    stage.prove(
        "every record known before the migration was found", 0 < kept.known <= (kept.found or 0) <= scan.last, synced
    )
    whole = "\n".join(kept.problems) or f"numbers 1 to {scan.last}, each once, each with its checksum"
    stage.prove("no record is missing, doubled or damaged", not kept.problems and scan.last == kept.total > 0, whole)


def end_lab(stage: Stage) -> None:
    """Take the lab down; nothing of it is left but the baked AMIs, which the next rehearsal needs not bake again."""
    stage.succeed()
    left = leftovers.find(stage.configuration)
    nothing = "no process, no network namespace, link, route or rule, no state directory"
    kept = ", ".join(kept_images.of_lab(stage.configuration).names()) or "no AMI"
    evidence = f"{nothing}\nkept in the cache: {kept}"
    stage.prove("nothing of the lab is left on this machine", not left, "\n".join(left) or evidence)


def _prove_unchanged(stage: Stage, claim: str, before: cloud_state.CloudState, after: cloud_state.CloudState) -> None:
    lines = cloud_state.differences(before, after)
    stage.prove(claim, not lines, "\n".join(lines[:20]) or f"equal before and after: {before.summary()}")


def _status(stage: Stage) -> Mapping[str, Any]:
    """Run ``fab status --json`` and return what it says of the node."""
    statuses = stage.succeed().documents()[-1]
    found = [status for status in statuses if status["node"] == stage.plot.node]
    if len(found) != 1:
        raise Failed(f"fab status knows {len(found)} nodes called {stage.plot.node}", hint="fab status")
    return dict(found[0])


def _instance(stage: Stage, name: str) -> Instance:
    wanted = {tags.ENVIRONMENT: stage.world.settings.name, tags.NAME: name}
    return known(next(iter(stage.world.cloud.instances(tags=wanted)), None), f"the instance {name}")


def _writes_records(stage: Stage) -> bool:
    return any(program.name == "livepeer" and program.stand_in for program in stage.seen.programs)


def _poll(probe: Callable[[], bool], budget: float, problem: str) -> None:
    deadline = time.monotonic() + budget
    while not probe():
        if time.monotonic() > deadline:
            raise Failed(f"{problem}: not after {budget:.0f} s", hint="fab logs")
        time.sleep(POLL)
