"""Every reason against a migration, from what was seen of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transcoder import tags
from transcoder.guest import Guest
from transcoder.layout import VOLUMES, DataVolume
from transcoder.model import Instance, Volume
from transcoder.recipes.devices import names_for, no_name_left
from transcoder.recipes.preflight import round_reasons, source_reasons, survey_reasons, uuid_reasons

if TYPE_CHECKING:
    from transcoder.recipes.migrate import Observed

BOOTING = "has not finished booting"


def obstacles(observed: Observed) -> list[str]:
    """Return every reason against the migration; nothing when it can go on."""
    node, target = observed.node, observed.target
    reasons = [f"node {node.name} has no {data.role} volume in this environment" for data in node.missing]
    reasons += _request_reasons(observed)
    reasons += _source_reasons(observed)
    reasons += source_reasons(observed.source_guest if observed.serving else None, observed.surveys[0])
    reasons += round_reasons(observed.round, ignore=observed.request.ignore_round)
    if target is None:
        return reasons
    reasons += _target_reasons(observed, target)
    names = (observed.source.name if observed.source else "", target.name)
    reasons += survey_reasons(*observed.surveys, names)
    copies = tuple(observed.copies.volumes.values())
    reasons += uuid_reasons(node.volumes, copies, observed.source_guest, observed.target_guest)
    if observed.target_guest is not None:
        reasons += image_reasons(node.parts, observed.target_guest, "the target")
    for data in node.parts:
        reasons += _volume_reasons(observed, data, target)
    return reasons


def image_reasons(parts: tuple[DataVolume, ...], seen: Guest, name: str) -> list[str]:
    """Say which units a machine lacks for a node of these parts, and which it has beside: its image is another one's.

    An image with a geth has a livepeer that waits for it, and so never starts where there is none.
    """
    loads = {data: seen.service(data.service.unit).load for data in VOLUMES}
    lacks = [f"{name} has no {data.service.unit}: it is not one of our images" for data in parts if _lacks(loads[data])]
    beside = [data for data in VOLUMES if data not in parts and not _lacks(loads[data])]
    return lacks + [
        f"{name} has a {data.service.unit}, and this environment's nodes have no {data.role}: its image is not of this "
        "environment as it is now (invoke bake-ami)"
        for data in beside
    ]


def _lacks(load: str) -> bool:
    return load == "not-found"


def _request_reasons(observed: Observed) -> list[str]:
    own = [volume.id for volume in observed.node.volumes]
    return [
        f"--force-detach {name}: node {observed.node.name}'s volumes are {', '.join(own) or 'none'}"
        for name in observed.request.force_detach
        if name not in own
    ]


def _source_reasons(observed: Observed) -> list[str]:
    source, lost = observed.source, observed.request.source_lost
    if source is None:
        return []
    where = f"the source {source.name} ({source.id})"
    if lost and observed.source_guest is not None and needs_source(observed):
        return [f"{where} answers: leave --source-lost out, so that its services stop in order"]
    if not observed.source_problem or not needs_source(observed):
        return []
    if source.state == "shutting-down":
        return [f"{where} is shutting down: when it is gone its volumes are free, then the same command again"]
    if lost:
        return []
    way = "if that machine is lost, add --source-lost: it is stopped through EC2 before anything else is done"
    return [f"{where} {observed.source_problem}; {way}"]


def needs_source(observed: Observed) -> bool:
    """Tell whether anything is still to be done on the source machine: it has a volume."""
    source = observed.source
    if source is None or source.state == "stopped":  # a stopped machine runs nothing: its volumes are simply detached
        return False
    return any(is_at(volume, source) for volume in observed.node.volumes)


def is_at(volume: Volume | None, instance: Instance) -> bool:
    """Tell whether EC2 has a volume at this instance, on its way or there."""
    return volume is not None and volume.attachment is not None and volume.attachment.instance_id == instance.id


def _target_reasons(observed: Observed, target: Instance) -> list[str]:
    node, reasons = observed.node, []
    launched_for_it = target.tags.get(tags.TARGET_FOR) == node.name
    # Once the node is on its way there, a target that reboots is waited for: it is the only place to go on to.
    on_its_way = node.livepeer is not None and node.livepeer.tags.get(tags.MOVING_TO) == target.id
    booting = target.state == "pending" or observed.target_problem == BOOTING or launched_for_it or on_its_way
    if observed.target_problem and not (booting and target.state in ("pending", "running")):
        reasons.append(f"the target {target.name} ({target.id}) {observed.target_problem}")
    other = target.tags.get(tags.NODE, node.name)
    if other != node.name:
        reasons.append(f"the target {target.name} carries node {other}")
    return reasons


def _volume_reasons(observed: Observed, data: DataVolume, target: Instance) -> list[str]:
    volume, source, seen = observed.node.volume(data), observed.source, observed.target_guest
    if volume is None:
        return []
    reasons = []
    bond = volume.attachment
    if bond is not None and bond.instance_id not in (target.id, source.id if source else ""):
        reasons.append(f"{volume.id} is at {bond.instance_id}, which is neither the source nor the target")
    if not names_for(observed.settings, target, data, volume):
        reasons.append(no_name_left(target, data))
    if seen is not None:
        expected = [seen.device_of(known) for known in (volume, observed.copies.volume(data)) if known]
        clash = [d.path for d in seen.devices if d.label == data.label and d not in expected]
        reasons += [f"the target has another disk labelled {data.label}: {path}" for path in clash]
    return reasons
