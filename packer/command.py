"""`invoke bake-ami`: look for an image of the same inputs, show what would be baked, bake it, look again."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packer import bake
from transcoder import report, tags
from transcoder.errors import Failed
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
    stock = world.cloud.stock_image()
    prepared = prepare(world.settings, stock, again=f"{world.clock.now():.0f}" if force else "")
    found = _of_digest(world, prepared.digest)
    if dry_run:
        _show(prepared, stock, found)
        return
    fresh = force or found is None
    if fresh:
        _show_steps(prepared, stock)
        report.TerminalConsole(yes=yes).confirm(f"bake {prepared.ami_name}: go on?")
        bake.validate(prepared)
        ami = bake.build(prepared, world.settings, _progress)
        found = _look_again(world, ami)
    assert found is not None  # noqa: S101 - either found before or baked now
    _print(Baked(found, fresh, prepared.digest, str(prepared.packer), time.monotonic() - started), json_output)


def prepare(settings: Settings, stock: Image, *, again: str = "") -> bake.Prepared:
    """Prepare the environment's bake in its directory below ``build/``."""
    directory = _directory(settings)
    directory.mkdir(parents=True, exist_ok=True)
    return bake.prepare(
        settings, directory, source_ami_id=stock.id, root_device=stock.root_device, ami_name_suffix=again
    )


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


def _show(prepared: bake.Prepared, stock: Image, found: Image | None) -> None:
    _show_steps(prepared, stock)
    sys.stdout.write(prepared.hcl)
    if found is not None:
        _progress(f"{found.id} ({found.name}) was baked from these very inputs: it would be returned at once")
    for obstacle in prepared.obstacles:
        _progress(f"as it stands this would be refused: {obstacle}")


def _show_steps(prepared: bake.Prepared, stock: Image) -> None:
    _progress(f"{prepared.ami_name}: from {stock.name} ({stock.id}), Packer {prepared.packer}, amazon-ebs")
    for step in prepared.steps:
        _progress(f"  {step}")


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _print(baked: Baked, json_output: bool) -> None:
    if json_output:
        report.print_json(baked.describe())
        return
    how = f"baked in {baked.seconds:.0f} s" if baked.fresh else "was baked before from these very inputs"
    sys.stdout.write(f"{baked.image.id} {baked.image.name}: {how}\n")
