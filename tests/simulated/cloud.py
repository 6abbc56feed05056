"""EC2 in memory: state changes take simulated time, and what EC2 refuses is refused here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.simulated.clock import SimulatedClock
from tests.simulated.disk import blank
from tests.simulated.ec2 import ACTIONS, READS, ROOT, Answer, Call, NotNow, Tags, api, wanted
from tests.simulated.images import Images
from tests.simulated.stacks import SimulatedStacks
from transcoder.model import ElasticIp, Instance
from transcoder.world import ApiCall, LaunchRequest, Lock

__all__ = ["READS", "ROOT", "Answer", "Call", "SimulatedCloud"]

LAUNCHING, TERMINATING = 6.0, 3.0
"""Seconds that EC2 takes for each of them."""
SHUTTING_DOWN, STOPPING = 2.0, 5.0
"""Seconds from a stop until the machine has ended its programs, and until EC2 calls it stopped."""


class SimulatedCloud(Images):
    """Implements `transcoder.world.Cloud`."""

    def __init__(self, clock: SimulatedClock, lock: threading.RLock) -> None:
        super().__init__(clock, lock)
        self.is_mounted = lambda _instance, _volume: False
        self.is_deleted = lambda _volume: None
        self.shut_down: Callable[[str], None] = lambda _instance: None
        """Told that a machine ends its programs in order."""
        self.ending: set[str] = set()
        """Instances that are ``stopping`` and still run."""
        self._stacks = SimulatedStacks(clock)

    def stacks(self) -> SimulatedStacks:
        """Return CloudFormation of this region."""
        return self._stacks

    def in_region(self, region: str) -> SimulatedCloud:
        """Return another region of the same world; its own where the world has no such one."""
        found = self.regions.get(region, self)
        assert isinstance(found, SimulatedCloud)
        return found

    # instances

    @api
    def instances(self, *, ids: Sequence[str] = (), tags: Tags | None = None) -> tuple[Instance, ...]:
        return tuple(i for i in self.shown().machines.values() if wanted(i.id, i.tags, ids, tags))

    @api
    def launch(self, request: LaunchRequest) -> Instance:
        if request.token in self.tokens:
            return self.machines[self.tokens[request.token]]
        instance = self._make(request)
        self.tokens[request.token] = instance.id
        self.later(LAUNCHING, lambda: self._begin_to_run(instance.id))
        return instance

    def _make(self, request: LaunchRequest) -> Instance:
        if request.image_id not in self.amis:
            raise Answer("InvalidAMIID.NotFound", request.image_id)
        number = len(self.machines) + 10
        instance = Instance(
            id=self.new_id("i"),
            state="pending",
            zone=request.zone,
            image_id=request.image_id,
            type="c4.2xlarge",
            private_ip=f"172.31.0.{number}",
            public_ip=f"203.0.113.{number}",
            launched=str(self.clock.now()),
            tags=dict(request.tags),
        )
        self.machines[instance.id] = instance
        root = self.add_volume(blank(32), request.zone, request.tags)  # RunInstances tags it like the instance
        self.bond(root.id, instance.id, ROOT, "attached")
        return self.machines[instance.id]

    def _begin_to_run(self, instance_id: str) -> None:
        if instance_id in self.machines and self.machines[instance_id].state == "pending":
            self.change_machine(instance_id, state="running")

    def set_state(self, instance_id: str, state: str) -> None:
        """Put an instance into a state, as an operator or a failure outside would."""
        with self.lock:
            self.change_machine(instance_id, state=state)

    @api
    def stop(self, instance_id: str, *, force: bool = False) -> None:
        state = self.needed_instance(instance_id).state
        if state == "stopped" or (state == "stopping" and not force):
            return
        if state not in ("running", "stopping"):
            raise NotNow("IncorrectInstanceState", f"{instance_id} is {state}")
        self.ending.add(instance_id)
        self.change_machine(instance_id, state="stopping")
        if force:
            self.ending.discard(instance_id)  # its power is cut: nothing is written back
        if force or instance_id not in self.faults.hanging:
            self.later(SHUTTING_DOWN, lambda: self._end_programs(instance_id))
            self.later(STOPPING, lambda: self._stopped(instance_id))

    def _end_programs(self, instance_id: str) -> None:
        if instance_id in self.ending:
            self.shut_down(instance_id)
            self.ending.discard(instance_id)

    def _stopped(self, instance_id: str) -> None:
        if instance_id in self.machines and self.machines[instance_id].state == "stopping":
            self.change_machine(instance_id, state="stopped", public_ip="")

    @api
    def terminate(self, instance_id: str) -> None:
        self.change_machine(instance_id, state="shutting-down")
        self.later(TERMINATING, lambda: self._end(instance_id))

    def _end(self, instance_id: str) -> None:
        for volume in list(self.blocks.values()):
            bond = volume.attachment
            if bond is None or bond.instance_id != instance_id:
                continue
            if bond.device == ROOT:
                del self.blocks[volume.id], self.disks[volume.id]
            else:
                self.blocks[volume.id] = replace(volume, state="available", attachment=None)
        for address in self.elastic.values():
            if address.instance_id == instance_id:
                self.elastic[address.allocation_id] = replace(address, instance_id="", association_id="")
        self.machines.pop(instance_id, None)

    # addresses, tags, permissions

    @api
    def addresses(self, *, tags: Tags | None = None) -> tuple[ElasticIp, ...]:
        return tuple(a for a in self.shown().elastic.values() if wanted(a.allocation_id, a.tags, (), tags))

    @api
    def allocate_address(self, tags: Tags) -> ElasticIp:
        address = ElasticIp(self.new_id("eipalloc"), f"198.51.100.{len(self.elastic) + 1}", tags=dict(tags))
        self.elastic[address.allocation_id] = address
        return address

    @api
    def associate(self, allocation_id: str, instance_id: str) -> None:
        self.needed_instance(instance_id)
        if allocation_id not in self.elastic:
            raise Answer("InvalidAllocationID.NotFound", allocation_id)
        bond = self.new_id("eipassoc")
        held = replace(self.elastic[allocation_id], instance_id=instance_id, association_id=bond)
        self.elastic[allocation_id] = held

    @api
    def ensure_security_group(self) -> str:
        return "sg-1"

    @api
    def denial(self, call: ApiCall) -> str:
        """Say why a call is not permitted; ``denied`` holds the actions that are not."""
        assert call.action in ACTIONS.values(), f"no call of ours is called {call.action} by EC2"
        return f"{call.action} is not permitted (UnauthorizedOperation)" if call.action in self.denied else ""

    @api
    def tag(self, resource_id: str, tags: Tags) -> None:
        self._retag(resource_id, lambda old: {**old, **tags})

    @api
    def untag(self, resource_id: str, keys: Sequence[str]) -> None:
        self._retag(resource_id, lambda old: {key: value for key, value in old.items() if key not in keys})

    def _retag(self, resource_id: str, change: Callable[[Tags], Tags]) -> None:
        if resource_id in self.machines:
            self.change_machine(resource_id, tags=change(self.machines[resource_id].tags))
        elif resource_id in self.amis:
            self.change_image(resource_id, tags=change(self.amis[resource_id].tags))
        elif resource_id in self.copies:
            copy = self.copies[resource_id]
            self.copies[resource_id] = replace(copy, tags=change(copy.tags))
        elif resource_id in self.elastic:
            address = self.elastic[resource_id]
            self.elastic[resource_id] = replace(address, tags=change(address.tags))
        else:
            self.change_volume(resource_id, tags=change(self.needed_volume(resource_id).tags))

    # locks

    @api
    def take_lock(self, node: str, lock: Lock) -> Lock | None:
        holder = self.locks.setdefault(node, lock)
        return None if holder is lock else holder

    @api
    def lock_holder(self, node: str) -> Lock | None:
        return self.locks.get(node)

    @api
    def lock_holders(self) -> dict[str, Lock]:
        return dict(self.locks)

    @api
    def free_lock(self, node: str, lock: Lock | None = None) -> Lock | None:
        holder = self.locks.get(node)
        if holder is None or (lock is not None and holder != lock):
            return None
        return self.locks.pop(node)
