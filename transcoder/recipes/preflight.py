"""What must be so before the first stop of a migration: looks that cost no downtime, and every reason against it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from transcoder.actions.guest import read_clock
from transcoder.compatibility import incompatible
from transcoder.facts import chronyc, ext4, release
from transcoder.facts.chronyc import Tracking
from transcoder.facts.livepeer_api import RoundState
from transcoder.facts.release import Release
from transcoder.guest import Guest
from transcoder.layout import LIVEPEER, VOLUMES
from transcoder.model import Instance, Volume
from transcoder.step import Plan
from transcoder.world import ApiCall, Command, World

MOST_SKEW = 5.0
"""Seconds by which two clocks may differ. geth drops peers at 20 s, and finds none beyond (p2p/discover, ntp.go)."""


@dataclass(frozen=True)
class Survey:
    """What is known of a machine beyond its disks and services. ``ahead`` in seconds of the operator's clock.

    ``tracking`` is None where chronyd does not run, ``release`` where the image does not say what it is. ``errors``:
    those that file systems have met, by the kernel's name of the device.
    """

    ahead: float
    tracking: Tracking | None
    release: Release | None
    errors: Mapping[str, int] = field(default_factory=dict)


def survey(world: World, instance: Instance) -> Survey:
    """Look at a machine's clock, image and file systems, in one exchange.

    :raises Unreachable: when it does not answer.
    """
    ahead, (tracked, told, counted) = read_clock(
        world,
        instance,
        Command(chronyc.COMMAND, ok=tuple(range(256))),
        Command(release.COMMAND, ok=(0, 1)),
        Command(ext4.COMMAND, ok=(0, 1, 2)),
    )
    tracking = chronyc.parse_chronyc(tracked.stdout) if tracked.exit_code == 0 else None
    released = release.parse_release(told.stdout) if told.exit_code == 0 else None
    return Survey(ahead, tracking, released, ext4.parse_ext4(counted.stdout))


def round_reasons(state: RoundState | None, *, ignore: bool) -> list[str]:
    """Say that the reward of this round is still to be called."""
    if state is None or ignore or not state.reward_pending:
        return []
    return [
        f"the reward of round {state.current} has not been called yet (the last one was that of round "
        f"{state.last_reward}): wait until it has, or type --ignore-round"
    ]


def source_reasons(seen: Guest | None, surveyed: Survey | None) -> list[str]:
    """Say what is wrong with the volumes where they are mounted now."""
    if seen is None:
        return []
    mounts = {mount.target: mount for mount in seen.mounts}
    errors = surveyed.errors if surveyed else {}
    return [
        f"the file system of {data.mount} of the source has had an error, and takes no more writes; look at it first "
        "(`fab logs`, dmesg), or move it as it is: stop the services there by hand"
        for data in VOLUMES
        if (mount := mounts.get(data.mount)) is not None
        and ("ro" in mount.options or errors.get(posixpath.basename(mount.source)))
    ]


def survey_reasons(source: Survey | None, target: Survey | None, names: tuple[str, str]) -> list[str]:
    """Say what clocks and images have against it. ``names`` of source and target."""
    if target is None:
        return []
    reasons = _clock_reasons(source, target, names)
    if source and source.release and target.release:
        reasons += [f"{names[1]}: {reason}" for reason in incompatible(source.release, target.release)]
    return reasons


def _clock_reasons(source: Survey | None, target: Survey, names: tuple[str, str]) -> list[str]:
    if target.tracking is None:
        return [f"chronyd does not run on {names[1]}, so nobody keeps its clock right: sudo systemctl start chrony"]
    if source is None:
        return []
    skew = target.ahead - source.ahead
    if abs(skew) <= MOST_SKEW:
        return []
    how = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'}"
    wrong = names[0] if abs(source.ahead) > abs(target.ahead) else names[1]
    return [f"the clock of {names[1]} is {how} that of {names[0]}; on the wrong one ({wrong}?): sudo chronyc makestep"]


def uuid_reasons(
    volumes: Sequence[Volume], copies: Sequence[Volume], source: Guest | None, target: Guest | None
) -> list[str]:
    """Say which disk of the target has the same UUID as a volume that is to come: a copy of it.

    :param copies: those that this migration has made itself, which it knows.
    """
    if source is None or target is None:
        return []
    own = [target.device_of(copy) for copy in copies]
    there = [(source.device_of(volume), volume) for volume in volumes]
    coming = {device.uuid: volume for device, volume in there if device is not None and device.uuid}
    return [
        f"{device.path} of the target has the same UUID as {coming[device.uuid].id}: a copy of it; detach it first"
        for device in target.devices
        if device.uuid in coming and device not in own and target.device_of(coming[device.uuid]) != device
    ]


def denials(world: World, plan: Plan) -> list[str]:
    """Ask EC2 (``DryRun``) whether it would let every call of a plan be made; return what it would not."""
    calls: dict[str, ApiCall] = {}
    for step in plan.pending:
        for call in step.requests(world):
            calls.setdefault(f"{call.action} {call.arguments}", call)
    return [reason for reason in dict.fromkeys(world.cloud.denial(call) for call in calls.values()) if reason]


def livepeer_runs(seen: Guest | None) -> bool:
    """Tell whether the node serves at a machine, so that a stop would be its downtime."""
    return seen is not None and seen.service(LIVEPEER.service.unit).running
