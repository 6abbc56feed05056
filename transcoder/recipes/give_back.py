"""What a run attached and must not keep: the way back after a look at a volume's content refused it."""

from __future__ import annotations

from collections.abc import Sequence

from transcoder import guest, shape, tags
from transcoder.actions.attachment import DetachVolume
from transcoder.actions.guest import ReleaseUnits
from transcoder.model import Instance
from transcoder.step import Plan
from transcoder.world import World


def plan_give_back(world: World, instance: Instance, attached: Sequence[str]) -> Plan | None:
    """Return the plan that detaches the volumes ``attached`` by this run and frees the held units; None without any.

    What this project created blank stays, and so does what is mounted: the node runs on it, and the refusal was about
    something else.
    """
    if not attached:
        return None
    seen = guest.observe(world.hosts(instance))
    mounted = {mount.source for mount in seen.mounts}
    steps = []
    for volume in world.cloud.volumes(ids=list(dict.fromkeys(attached))):
        device = seen.device_of(volume)
        in_use = device is not None and device.path in mounted
        if tags.BLANK not in volume.tags and volume.attached_to(instance.id) and not in_use:
            steps.append(DetachVolume(lane=volume.id, volume=volume, instance=instance, label="not this node's"))
    release = ReleaseUnits(
        instance=instance, units=shape.units(world.settings), after=tuple(step.key for step in steps)
    )
    return Plan("give back what is not this node's", (*steps, release))
