"""`invoke launch --restore-keys`: a fresh machine with an old account: its key is there before livepeer starts."""

from __future__ import annotations

from transcoder.errors import Refused
from transcoder.operate import Operation
from transcoder.recipes import attach, launch, restore_keys
from transcoder.world import World


def operations(
    world: World, request: launch.Request, store: str, address: str, *, source_lost: bool
) -> list[Operation]:
    """Return what follows a launch and the volumes: the key, and then the start.

    A volume that is made for the node has no address in its marker, and without one livepeer does not start.

    :raises Refused: before anything is launched, when the key could not be restored.
    """
    if request.spare:
        raise Refused("a spare machine carries no key", hint="--restore-keys without --spare")
    wanted = restore_keys.Request(request.node, store, address, source_lost=source_lost)
    restore_keys.check_before_launch(world, wanted)
    volumes = attach.Request(request.node, request.instance_name)
    return [restore_keys.operation(wanted), attach.operation(volumes)]
