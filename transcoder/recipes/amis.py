"""The AMIs of an environment: which there are, in every region, and who uses them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from transcoder import tags
from transcoder.actions.images import is_ours
from transcoder.model import Image, ImageUse, Instance, Snapshot
from transcoder.world import World


@dataclass(frozen=True)
class Region:
    """What one region has: all images of the account, ours and others, and what could use or be left of ours."""

    name: str
    environment: str
    images: tuple[Image, ...]
    instances: tuple[Instance, ...]
    uses: tuple[ImageUse, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()

    @property
    def ours(self) -> tuple[Image, ...]:
        """The images that were baked for the environment, and copies of such, oldest first."""
        return tuple(image for image in self.images if is_ours(image.tags, self.environment))

    def users(self, image_id: str) -> tuple[str, ...]:
        """Return what uses an image, for people: instances in whatever state, templates."""
        machines = [f"{i.name} ({i.id}, {i.state})" for i in self.instances if i.image_id == image_id]
        return (*machines, *(use.by for use in self.uses if use.image_id == image_id))


@dataclass(frozen=True)
class Family:
    """An AMI of the environment's own region and its copies by region; ``original`` is None when it is gone."""

    original: Image | None
    copies: Mapping[str, Image]
    users: tuple[str, ...]
    """What uses any of them; of a copy with its region."""

    @property
    def newest(self) -> Image:
        """The original, or one of its copies where it is gone."""
        return self.original or next(iter(self.copies.values()))


@dataclass(frozen=True)
class Observed:
    """All that is known of the environment's AMIs; ``regions``: its own first. ``now`` in Unix seconds."""

    environment: str
    regions: tuple[Region, ...]
    now: float

    @property
    def home(self) -> Region:
        """The environment's own region."""
        return self.regions[0]

    def families(self) -> tuple[Family, ...]:
        """Return the AMIs with their copies, newest first; copies of what is gone at the end."""
        copies: dict[str, dict[str, Image]] = {}
        for region in self.regions[1:]:
            for image in region.ours:
                copies.setdefault(image.tags.get(tags.COPY_OF, image.id), {})[region.name] = image
        known = [self._family(image, copies.pop(image.id, {})) for image in reversed(self.home.ours)]
        return (*known, *(self._family(None, left) for left in copies.values()))

    def _family(self, original: Image | None, copies: Mapping[str, Image]) -> Family:
        users = [*self.home.users(original.id)] if original else []
        for region in self.regions[1:]:
            if region.name in copies:
                users += [f"{user} in {region.name}" for user in region.users(copies[region.name].id)]
        return Family(original, copies, tuple(users))


def observe(world: World, *, ends: bool = False) -> Observed:
    """Look at the AMIs in every region that has any: two calls of EC2 a region, however many AMIs there are.

    :param ends: look also at templates and Auto Scaling, and at snapshots that an end of an AMI may have left.
    """
    name, own = world.settings.name, world.settings.aws.region
    home = _look(world, own, ends=ends)
    told = {region for image in home.ours for region in image.tags.get(tags.COPIED_TO, "").split()}
    others = sorted({*world.settings.image.copy_to, *told} - {own})
    return Observed(name, (home, *(_look(world, region, ends=ends) for region in others)), world.clock.now())


def _look(world: World, region: str, *, ends: bool) -> Region:
    cloud, name = world.cloud.in_region(region), world.settings.name
    # Snapshots first: one whose image is not among those that are looked at later has lost it.
    snapshots = cloud.snapshots(tags={tags.ENVIRONMENT: name}) if ends else ()
    images, instances = cloud.images(), cloud.instances()
    uses = cloud.image_uses() if ends else ()
    return Region(region, name, images, instances, uses, tuple(s for s in snapshots if is_ours(s.tags, name)))


@dataclass(frozen=True)
class Row:
    """An AMI as a table or JSON shows it. ``age_days`` since its creation; versions are empty where it has none."""

    id: str
    name: str
    state: str
    livepeer: str
    geth: str
    created: str
    age_days: float
    verified: str
    in_use_by: tuple[str, ...]
    copies: Mapping[str, str]
    deprecated: str
    size_gib: int
    encrypted: bool
    digest: str

    def describe(self) -> dict[str, Any]:
        """Return the row as JSON-ready data."""
        return {**vars(self), "in_use_by": list(self.in_use_by), "copies": dict(self.copies)}


def rows(observed: Observed) -> tuple[Row, ...]:
    """Return the AMIs, newest first."""
    return tuple(_row(family, observed.now) for family in observed.families())


def _row(family: Family, now: float) -> Row:
    image = family.newest
    return Row(
        id=image.id if family.original else f"{image.tags.get(tags.COPY_OF, '')} (gone)",
        name=image.name,
        state=image.state,
        livepeer=image.tags.get(tags.LIVEPEER_VERSION, ""),
        geth=image.tags.get(tags.GETH_VERSION, ""),
        created=image.created,
        age_days=round(age_days(image, now), 1),
        verified=image.tags.get(tags.VERIFIED, ""),
        in_use_by=family.users,
        copies={region: copy_of.id for region, copy_of in sorted(family.copies.items())},
        deprecated=image.deprecates,
        size_gib=image.size_gib,
        encrypted=image.encrypted,
        digest=image.tags.get(tags.DIGEST, ""),
    )


def age_days(image: Image, now: float) -> float:
    """Return how old an image is at ``now`` (Unix seconds), in days."""
    return (now - created(image).timestamp()) / 86400


def created(image: Image) -> datetime:
    """Return when an image was made."""
    return datetime.fromisoformat(image.created).astimezone(UTC)


def shared_snapshots(region: Region, going: Iterable[Image]) -> frozenset[str]:
    """Return the snapshots that other images than ``going`` have as well, ours or not."""
    ids = {image.id for image in going}
    return frozenset(s for image in region.images if image.id not in ids for s in image.snapshot_ids)
