"""`invoke bake-ami`: look for an image of the same inputs, show what would be baked, bake it, verify it, publish it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packer import bake
from packer.locks import only_one
from packer.meter import Meter
from packer.programs import notes
from packer.record import MANIFEST, SBOM, write_record
from packer.verify.command import Verified, raise_if_failed
from packer.verify.command import verify as verify_image
from packer.verify.show import print_report
from packer.versions import named_version
from transcoder import report, tags
from transcoder.errors import Failed, Refused, TranscoderError
from transcoder.model import Image
from transcoder.operate import is_gone, operate, this_process
from transcoder.recipes import publish
from transcoder.recipes.retire_amis import LOCK
from transcoder.settings import ROOT, Settings
from transcoder.settings_programs import Download
from transcoder.world import World, holding

RECORDS = ROOT / "build" / "images"
"""A directory for each AMI that was baked on this machine."""


@dataclass(frozen=True)
class Baked:
    """How a bake ended. ``seconds`` of this call; ``fresh``: it baked the image; ``verified``: how, if it did that."""

    image: Image
    fresh: bool
    digest: str
    packer: str
    seconds: float
    verified: Verified | None = None

    def describe(self) -> dict[str, Any]:
        """Return the outcome as JSON-ready data."""
        return {**self.facts(), "record": str(self.record or "")}

    def facts(self) -> dict[str, Any]:
        """Return what of it stays true."""
        return {
            "ami": self.image.id,
            "name": self.image.name,
            "baked": self.fresh,
            "digest": self.digest,
            "packer": self.packer,
            "builder": "amazon-ebs",
            "seconds": round(self.seconds, 1),
            "verified": self.image.tags.get(tags.VERIFIED, ""),
            "checks": [finding.describe() for finding in self.verified.findings] if self.verified else [],
        }

    @property
    def record(self) -> Path | None:
        """Where manifest, package list and bill of materials are, if it was baked on this machine."""
        own = RECORDS / self.image.id
        return own if (own / MANIFEST).is_file() else None


def bake_ami(
    world: World,
    *,
    dry_run: bool,
    force: bool,
    yes: bool,
    json_output: bool,
    packer_version: str = "",
    verify: bool = True,
) -> None:
    """Bake the environment's image, verify and publish it, and print it; or print what would be baked.

    :param force: bake although an image of the very same inputs exists.
    :param packer_version: in a dry run, write for this Packer and not for the one that is installed.
    :param verify: boot it and test it.
    :raises Refused: when it cannot be baked like this; nothing was started.
    :raises Failed: when Packer fails, or the image does not pass its checks.
    """
    if packer_version and not dry_run:
        raise Refused("an image is baked by the Packer that is installed", hint="--packer-version is for --dry-run")
    with only_one(_directory(world.settings)):
        if dry_run:
            _preview(world, packer_version)
        else:
            _print(_bake(world, force=force, yes=yes, test=verify, json_output=json_output), json_output)


def _bake(world: World, *, force: bool, yes: bool, test: bool, json_output: bool) -> Baked:
    started = time.monotonic()
    stock = world.cloud.stock_image()
    prepared = _prepare(world.settings, stock, again=f"{world.clock.now():.0f}" if force else "")
    found = None if force else _of_digest(world, prepared.digest)
    fresh, verified = found is None, None
    if found is None or (test and not found.verified):
        if found is None:
            _show_steps(world.settings, prepared, stock)
        what = f"verify {found.id}, which was baked before" if found else f"bake {prepared.ami_name}"
        report.TerminalConsole(yes=yes).confirm(f"{what}: go on?")
        yes = True
        # One lock from the begin of the bake until it is verified: nobody retires what is not in use yet.
        with holding(world, LOCK, this_process("invoke bake-ami"), is_gone):
            found = found or _build(world, prepared, started)
            verified = _verify(world, found, json_output) if test else None
    if test:
        _publish(world, found.id, yes)
    found = _look_again(world, found.id)
    return Baked(found, fresh, prepared.digest, str(prepared.packer), time.monotonic() - started, verified)


def _build(world: World, prepared: bake.Prepared, started: float) -> Image:
    """Bake, and keep the record of it, whatever the verification says then."""
    bake.validate(prepared)
    found = _look_again(world, bake.build(prepared, world.settings, _progress))
    baked = Baked(found, True, prepared.digest, str(prepared.packer), time.monotonic() - started)
    write_record(found, prepared.directory, RECORDS, baked.facts())
    return found


def _verify(world: World, image: Image, json_output: bool) -> Verified:
    """Verify; an image that does not pass is reported on with all its checks."""
    verified = verify_image(world, image, report.TerminalConsole(yes=True))
    if not verified.passed:
        print_report(verified.describe(), verified.findings, as_json=json_output)
    raise_if_failed(verified)
    return verified


def _publish(world: World, image_id: str, agreed: bool) -> None:
    """Give the image its date and its copies in other regions, as far as they are missing."""
    wanted = world.settings.image
    if wanted.copy_to or wanted.deprecate_after_days:
        operate(publish.operation(image_id), world, report.TerminalConsole(yes=agreed))


def _prepare(
    settings: Settings, stock: Image | None, *, again: str = "", preview: bool = False, packer_version: str = ""
) -> bake.Prepared:
    """Prepare the environment's bake in its directory below ``build/``; without a stock image Packer looks for it."""
    return bake.prepare(
        settings,
        _directory(settings),
        start=bake.Start(stock.id, stock.name, stock.root_device) if stock else None,
        packer=named_version(packer_version) if packer_version else None,
        ami_name_suffix=again,
        preview=preview,
        progress=Meter(),
    )


def _preview(world: World, packer_version: str) -> None:
    """Print what would be baked. Where EC2 cannot be asked, the filter stands for the stock image that it finds."""
    stock, found = None, None
    unasked = ""
    try:
        stock = world.cloud.stock_image()
    except TranscoderError as error:
        unasked = error.message
    prepared = _prepare(world.settings, stock, preview=True, packer_version=packer_version)
    if stock:
        found = _of_digest(world, prepared.digest)
    _show_steps(world.settings, prepared, stock)
    sys.stdout.write(prepared.hcl)
    if unasked:
        _progress(
            f"the stock image is not known ({unasked}): its filter stands for it, and the digest is of the filter"
        )
    if found is not None:
        _progress(f"{found.id} ({found.name}) was baked from these very inputs: it would be returned at once")
    for obstacle in prepared.obstacles:
        _progress(f"as it stands this would be refused: {obstacle}")


def _directory(settings: Settings) -> Path:
    return ROOT / "build" / "packer" / settings.name


def _of_digest(world: World, digest: str) -> Image | None:
    wanted = {tags.ENVIRONMENT: world.settings.name, tags.DIGEST: digest}
    found = [image for image in world.cloud.images(tags=wanted) if image.state == "available"]
    return next((image for image in reversed(found) if image.verified), found[-1] if found else None)


def _look_again(world: World, ami: str) -> Image:
    found = world.cloud.images(ids=[ami])
    if not found or found[0].state != "available":
        raise Failed(f"Packer says it made {ami}, but EC2 does not show it as available", hint="invoke bake-ami")
    return found[0]


def _show_steps(settings: Settings, prepared: bake.Prepared, stock: Image | None) -> None:
    start = f"{stock.name} ({stock.id})" if stock else "the newest stock image that the filter finds"
    _progress(f"{prepared.ami_name}: from {start}, Packer {prepared.packer}, amazon-ebs")
    for step in prepared.steps:
        _progress(f"  {step}")
    for note in (*notes(settings), *_pins(settings, prepared)):
        _progress(f"note: {note}")


def _pins(settings: Settings, prepared: bake.Prepared) -> Iterator[str]:
    """Tell what to pin: whoever can change an archive on its server can change the sums beside it, too."""
    wanted: dict[str, Download] = {"geth": settings.geth, "livepeer": settings.livepeer}
    for name, archive in prepared.archives.items():
        own = wanted[name]
        if own.checksums.startswith("https:") and not (own.sha256 or own.signature):
            yield f'{name}: proven by {" and ".join(archive.proofs)}; to pin it: {name}.sha256 = "{archive.sha256}"'


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _print(baked: Baked, json_output: bool) -> None:
    if json_output:
        report.print_json(baked.describe())
        return
    how = f"baked in {baked.seconds:.0f} s" if baked.fresh else "was baked before from these very inputs"
    mark = baked.image.tags.get(tags.VERIFIED, "")
    checked = f"verified at {mark.partition(' ')[0]}" if mark else "not verified"
    sys.stdout.write(f"{baked.image.id} {baked.image.name}: {how}, {checked}\n")
    if baked.record:
        _progress(f"its manifest, packages and bill of materials ({SBOM}): {baked.record}")
