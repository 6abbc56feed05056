"""`invoke verify-ami`: boot an AMI once, look at it from outside, and tag it when all is as it should be."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packer.verify import show, stand, suite
from packer.verify.check import Subject
from packer.verify.suite import Finding
from transcoder import report, tags
from transcoder.actions.images import is_ours
from transcoder.errors import Failed, Interrupted, Refused
from transcoder.model import Image
from transcoder.operate import is_gone, this_process
from transcoder.recipes.retire_amis import LOCK
from transcoder.world import World, holding


@dataclass(frozen=True)
class Verified:
    """How a verification ended; ``seconds`` from the launch to the end of the machine."""

    image: Image
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every check has passed."""
        return all(finding.passed for finding in self.findings)

    def describe(self) -> dict[str, Any]:
        """Return the outcome as JSON-ready data, but for the checks."""
        return {
            "ami": self.image.id,
            "name": self.image.name,
            "verified": self.passed,
            "check_list": suite.digest(),
            "seconds": round(self.seconds, 1),
        }


def verify_ami(world: World, ami: str, *, yes: bool, dry_run: bool, json_output: bool) -> None:
    """Verify an AMI (empty: the newest baked one) and print the report.

    :raises Refused: it is not an available image of this environment.
    :raises Failed: a check has failed; the image has no mark of a verification any more.
    """
    image = chosen(world, ami)
    console = report.TerminalConsole(yes=yes, json_output=json_output)
    _progress(f"{image.id} ({image.name}): boot a {world.settings.instance.type} of it, {len(suite.CHECKS)} checks")
    if dry_run:
        _preview(image, json_output)
        return
    console.confirm(f"launch a machine of {image.id} for some minutes: go on?")
    with holding(world, LOCK, this_process("invoke verify-ami"), is_gone):
        verified = verify(world, image, console)
    show.print_report(verified.describe(), verified.findings, as_json=json_output)
    raise_if_failed(verified)


def chosen(world: World, ami: str) -> Image:
    """Return the image to verify: the one named, or the newest of the environment.

    :raises Refused: when it is not one that was baked for this environment, or not available.
    """
    name = world.settings.name
    found = world.cloud.images(ids=[ami]) if ami else world.cloud.images(tags={tags.ENVIRONMENT: name})
    ours = [image for image in found if is_ours(image.tags, name) and image.state == "available"]
    if not ours and ami:
        raise Refused(f"{ami} is not an available image of environment {name}", hint=f"invoke amis --env {name}")
    if not ours:
        raise Refused(f"no image has been baked for environment {name}", hint="invoke bake-ami")
    return ours[-1]


def verify(world: World, image: Image, console: report.TerminalConsole) -> Verified:
    """Boot, test, terminate; then tag the image, or take the tag away from it. The caller holds the lock."""
    began = world.clock.monotonic()
    stand.remove(world, stand.leftovers(world), console.watch)
    try:
        with stand.stand_for(world, image, console.watch) as machine:
            findings = suite.run(_subject(world, image, machine), _watch, suite.CHECKS)
    except KeyboardInterrupt as stop:
        what = f"interrupted: {image.id} is as it was, and its test machine is terminated"
        raise Interrupted(what, hint=f"invoke verify-ami --ami {image.id}") from stop
    verified = Verified(image, findings, world.clock.monotonic() - began)
    _mark(world, image, verified.passed)
    return verified


def raise_if_failed(verified: Verified) -> None:
    """Raise `Failed` when a check has not passed."""
    wrong = [f"{finding.title}: {finding.found}" for finding in verified.findings if not finding.passed]
    if wrong:
        raise Failed(
            "\n".join([f"{verified.image.id} is not fit for use: {len(wrong)} checks failed", *wrong]),
            hint="mend the recipe and bake again; `invoke launch` does not take this image",
        )


def _subject(world: World, image: Image, machine: stand.Stand) -> Subject:
    from packer.verify.machine import machine_of

    host = world.hosts(machine.instance)
    known = Path(world.settings.ssh.known_hosts).expanduser()
    keys = remembered(known.read_text(encoding="utf-8")) if known.is_file() else {}
    return Subject(world, machine_of(host), host, image, machine.instance, machine.seconds, keys)


def remembered(known_hosts: str) -> Mapping[str, frozenset[str]]:
    """Return the host keys that are remembered, ``TYPE BASE64`` each, by instance id."""
    found: dict[str, frozenset[str]] = {}
    for line in known_hosts.splitlines():
        name, _, key = line.strip().partition(" ")
        if name and not name.startswith("#"):
            found[name] = found.get(name, frozenset()) | {key}
    return found


def _mark(world: World, image: Image, passed: bool) -> None:
    """Tag the image as verified: when, and the list of checks; or take that away from it and from its copies."""
    if passed:
        now = datetime.fromtimestamp(world.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        world.cloud.tag(image.id, {tags.VERIFIED: f"{now} {suite.digest()[:12]}"})
        return
    world.cloud.untag(image.id, [tags.VERIFIED])
    for region in image.tags.get(tags.COPIED_TO, "").split():
        cloud = world.cloud.in_region(region)
        for copy in cloud.images(tags={tags.COPY_OF: image.id}):
            cloud.untag(copy.id, [tags.VERIFIED])


def _preview(image: Image, json_output: bool) -> None:
    if json_output:
        listed = [{"name": check.__name__, "title": suite.title_of(check)} for check in suite.CHECKS]
        report.print_json({"ami": image.id, "name": image.name, "verified": image.verified, "checks": listed})
        return
    for check in suite.CHECKS:
        sys.stdout.write(f"{suite.title_of(check)}\n")
    state = f"verified at {image.tags[tags.VERIFIED]}" if image.verified else "not verified"
    sys.stdout.write(f"{image.id} is {state}; dry run: nothing was launched\n")


def _watch(finding: Finding) -> None:
    mark = "✓" if finding.passed else "✗"
    _progress(f"{mark} {finding.seconds:7.1f} s  {finding.name:<15} {finding.found[:160]}")


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")
