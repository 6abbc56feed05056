"""Baked AMIs that outlive their lab: in the cache, one directory an AMI with its description and its snapshots' disks.

``<cache>/amis/<lab>/<ami id>/`` holds ``description.json`` and ``<snapshot id>.img``. The directory gets that name when
all of it is written; whatever else is there is removed, never registered.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lab.configuration import LabConfiguration
from lab.disk import GIB, link_or_copy
from transcoder.errors import Failed, TranscoderError

log = logging.getLogger("lab")

KEPT = 2
"""How many AMIs of one lab are kept: the newest."""
DESCRIPTION = "description.json"
SCHEMA = 1
"""Raised when a description of before can no longer be read: such an AMI is dropped, and baked again."""
PARTIAL = ".partial"


@dataclass(frozen=True)
class KeptSnapshot:
    """A snapshot of a kept AMI. ``started`` is ISO 8601."""

    id: str
    size_gib: int
    volume_id: str
    description: str
    encrypted: bool
    started: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class KeptImage:
    """An AMI as it must come back. ``mappings`` are its block device mappings as EC2's.

    ``created`` and ``deprecates`` (empty: never) are ISO 8601.
    """

    id: str
    name: str
    description: str
    architecture: str
    root_device: str
    created: str
    source_instance_id: str
    launch_permissions: Sequence[Mapping[str, str]]
    mappings: Sequence[Mapping[str, Any]]
    snapshots: tuple[KeptSnapshot, ...]
    tags: Mapping[str, str]
    schema: int = SCHEMA
    deprecates: str = ""


class KeptImages:
    """The kept AMIs of one lab name. Only one lab of a name is up at a time, and only its daemon writes here."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def keep(self, images: Sequence[KeptImage], disk: Callable[[str], Path]) -> None:
        """Make the newest of these AMIs the ones that are kept, and remove all others.

        One that cannot be kept is left out with a line in the log: an end of the lab must not fail on it.

        :param disk: the file of a snapshot by its id.
        """
        chosen = newest(images)
        for image in chosen:
            try:
                self._write(image, disk)
                log.info("%s (%s) is kept for the next start", image.id, image.name)
            except (OSError, TranscoderError) as error:
                log.warning("%s (%s) cannot be kept: %s", image.id, image.name, error)
        wanted = {image.id for image in chosen}
        for path in self._entries():
            if path.name not in wanted:
                _remove(path)

    def read(self) -> tuple[KeptImage, ...]:
        """Return the kept AMIs that are whole, oldest first; what is broken is removed with a line in the log."""
        found = []
        for path in self._entries():
            try:
                found.append(parse(path))
            except (OSError, ValueError, TypeError, KeyError, Failed) as error:
                log.warning("the kept AMI %s is broken and dropped: %s", path.name, error)
                _remove(path)
        return tuple(sorted(found, key=lambda image: (image.created, image.id)))

    def drop(self, image_id: str) -> None:
        """Forget one AMI."""
        _remove(self.directory / image_id)

    def disk(self, image: KeptImage, snapshot_id: str) -> Path:
        """Return the file of a kept AMI's snapshot."""
        return disk_file(self.directory / image.id, snapshot_id)

    def names(self) -> tuple[str, ...]:
        """Return the ids of what is kept, whole or not; removes nothing."""
        return tuple(path.name for path in self._entries() if not path.name.endswith(PARTIAL))

    def forget(self) -> tuple[str, ...]:
        """Remove all of them; return their ids."""
        forgotten = self.names()
        if self.directory.exists():
            shutil.rmtree(self.directory)
        return forgotten

    def _entries(self) -> list[Path]:
        return sorted(self.directory.iterdir()) if self.directory.exists() else []

    def _write(self, image: KeptImage, disk: Callable[[str], Path]) -> None:
        """Write the AMI anew below another name, then give it its own: tags may differ from those of the last time."""
        final = self.directory / image.id
        partial = final.with_name(image.id + PARTIAL)
        _remove(partial)
        partial.mkdir(parents=True, mode=0o700)
        for snapshot in image.snapshots:
            target = disk_file(partial, snapshot.id)
            link_or_copy(disk(snapshot.id), target)
            _flush(target)
        description = partial / DESCRIPTION
        description.write_text(json.dumps(asdict(image), indent=2) + "\n", encoding="utf-8")
        _flush(description)
        _remove(final)
        partial.rename(final)


def of_lab(configuration: LabConfiguration) -> KeptImages:
    """Return where the AMIs of a lab are kept."""
    return KeptImages(configuration.cache_directory / "amis" / configuration.name)


def newest(images: Sequence[KeptImage]) -> tuple[KeptImage, ...]:
    """Return those to be kept."""
    return tuple(sorted(images, key=lambda image: (image.created, image.id))[-KEPT:])


def parse(directory: Path) -> KeptImage:
    """Read a kept AMI and see that it is whole.

    :raises ValueError, TypeError, KeyError: the description is not one of this version's.
    :raises Failed: it is of another AMI, or a disk is missing or has another size than the snapshot.
    """
    if not re.fullmatch(r"ami-[0-9a-f]+", directory.name):
        raise Failed("it was not written to its end")
    data = json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))
    if data["schema"] != SCHEMA or data["id"] != directory.name or not data["snapshots"]:
        raise Failed(f"{DESCRIPTION} is of another version or of another AMI")
    snapshots = tuple(KeptSnapshot(**snapshot) for snapshot in data["snapshots"])
    for snapshot in snapshots:
        size = disk_file(directory, snapshot.id).stat().st_size
        if size != snapshot.size_gib * GIB:
            raise Failed(f"the disk of {snapshot.id} has {size} bytes, not {snapshot.size_gib} GiB")
    known = {field.name for field in fields(KeptImage)}
    image = KeptImage(**{key: value for key, value in data.items() if key in known} | {"snapshots": snapshots})
    _check_mappings(image)
    return image


def disk_file(directory: Path, snapshot_id: str) -> Path:
    """Return the file of a snapshot in an AMI's directory.

    :raises ValueError: the id is not EC2's, and could point elsewhere.
    """
    if not re.fullmatch(r"snap-[0-9a-f]+", snapshot_id):
        raise ValueError(f"{snapshot_id!r} is not the id of a snapshot")
    return directory / f"{snapshot_id}.img"


def _check_mappings(image: KeptImage) -> None:
    named = {mapping["Ebs"].get("SnapshotId") for mapping in image.mappings} - {None, ""}
    if named != {snapshot.id for snapshot in image.snapshots}:
        raise Failed("its block device mappings name other snapshots than it has")


def _flush(path: Path) -> None:
    """Bring a file to the disk: after a power failure its name must not stand for half of it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
