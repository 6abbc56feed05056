"""Under which device name does a volume come to an instance?"""

from __future__ import annotations

from transcoder import shape, tags
from transcoder.actions.attachment import device_names
from transcoder.layout import DataVolume
from transcoder.model import Instance, Volume
from transcoder.settings import Settings


def names_for(settings: Settings, instance: Instance, data: DataVolume, volume: Volume) -> tuple[str, ...]:
    """Return the device names under which a volume can come to an instance; the environment's own is tried first."""
    wanted = {own.role: shape.volume_settings(settings, own).device for own in shape.data_volumes(settings)}
    others = [name for role, name in wanted.items() if role != data.role]
    return device_names(instance, wanted[data.role], others, volume.id)


def no_name_left(instance: Instance, data: DataVolume) -> str:
    """Say that an instance has no device name left for a volume."""
    taken = ", ".join(f"{name} ({volume})" for name, volume in sorted(instance.devices.items()))
    bad = instance.tags.get(tags.BAD_DEVICES)
    failed = f", and {bad} failed before (tag {tags.BAD_DEVICES})" if bad else ""
    return f"{instance.name} has no device name left for the {data.role} volume: taken are {taken}{failed}"
