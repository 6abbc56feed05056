"""`invoke bake-ami`: look for an image of the same inputs, show what would be baked, bake it, look again."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packer import bake
from packer.programs import notes
from transcoder import report, tags
from transcoder.errors import Failed, TranscoderError
from transcoder.model import Image
from transcoder.settings import ROOT, Settings
from transcoder.world import World


@dataclass(frozen=True)
class Baked:
    """How a bake ended. ``seconds`` of this call; ``fresh``: this call baked it."""

    image: Image
    fresh: bool
    digest: str
    packer: str
    seconds: float

    def describe(self) -> dict[str, Any]:
        """Return the outcome as JSON-ready data."""
        return {
            "ami": self.image.id,
            "name": self.image.name,
            "baked": self.fresh,
            "digest": self.digest,
            "packer": self.packer,
            "builder": "amazon-ebs",
            "seconds": round(self.seconds, 1),
        }


def bake_ami(world: World, *, dry_run: bool, force: bool, yes: bool, json_output: bool) -> None:
    """Bake the environment's image and print it, or print what would be baked.

    :param force: bake although an image of the very same inputs exists.
    :raises Refused: when it cannot be baked like this; nothing was started.
    :raises Failed: when Packer fails.
    """
    started = time.monotonic()
    if dry_run:
        _preview(world)
        return
    stock = world.cloud.stock_image()
    prepared = prepare(world.settings, stock, again=f"{world.clock.now():.0f}" if force else "")
    found = _of_digest(world, prepared.digest)
    fresh = force or found is None
    if fresh:
        _show_steps(world.settings, prepared, stock)
        report.TerminalConsole(yes=yes).confirm(f"bake {prepared.ami_name}: go on?")
        bake.validate(prepared)
        ami = bake.build(prepared, world.settings, _progress)
        found = _look_again(world, ami)
    assert found is not None  # noqa: S101 - either found before or baked now
    _print(Baked(found, fresh, prepared.digest, str(prepared.packer), time.monotonic() - started), json_output)


def prepare(settings: Settings, stock: Image | None, *, again: str = "", preview: bool = False) -> bake.Prepared:
    """Prepare the environment's bake in its directory below ``build/``; without a stock image Packer looks for it."""
    directory = _directory(settings)
    directory.mkdir(parents=True, exist_ok=True)
    return bake.prepare(
        settings,
        directory,
        source_ami_id=stock.id if stock else "",
        root_device=stock.root_device if stock else "",
        ami_name_suffix=again,
        preview=preview,
    )


def _preview(world: World) -> None:
    """Print what would be baked. Where EC2 cannot be asked, the filter stands for the stock image that it finds."""
    stock, found = None, None
    unasked = ""
    try:
        stock = world.cloud.stock_image()
    except TranscoderError as error:
        unasked = error.message
    prepared = prepare(world.settings, stock, preview=True)
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
    return found[-1] if found else None


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
    for note in notes(settings):
        _progress(f"note: {note}")


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _print(baked: Baked, json_output: bool) -> None:
    if json_output:
        report.print_json(baked.describe())
        return
    how = f"baked in {baked.seconds:.0f} s" if baked.fresh else "was baked before from these very inputs"
    sys.stdout.write(f"{baked.image.id} {baked.image.name}: {how}\n")
