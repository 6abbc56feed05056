"""Instances: machines boot, stop and end as moto's instances do, and the other way round when a guest ends itself."""

from __future__ import annotations

import copy
import time
from typing import Any

from moto.core.responses import EmptyResult
from moto.core.types import Base64EncodedString
from moto.ec2.models.instances import Instance, InstanceBackend, InstanceState, StateReason
from moto.ec2.responses import EC2Response

from lab.cloud import Cloud, log
from lab.drivers import BootPlan, DiskPlan, MachineFailed
from lab.hooks import Hooks
from lab.reconcile.wiring import Wires
from lab.strict import instances as strict

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
GUEST_ENDED = ("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")


class Instances:
    """Wraps the life of an instance after its launch."""

    def __init__(self, cloud: Cloud, wires: Wires) -> None:
        self.cloud = cloud
        self.wires = wires
        self._stopped: Any = None
        self._terminated: Any = None

    def install(self, hooks: Hooks) -> None:
        """Wrap moto's models."""
        self._stopped, self._terminated = Instance.stop, Instance.terminate
        for name in ("start", "stop", "terminate", "reboot"):
            hooks.wrap(Instance, name, getattr(self, name))
        for name in ("start_instances", "stop_instances", "reboot_instances"):
            hooks.wrap(InstanceBackend, name, getattr(self, name))
        for name in ("get_instance", "get_multi_instances_by_id", "get_reservations_by_instance_ids"):
            hooks.wrap(InstanceBackend, name, find)
        hooks.wrap(InstanceBackend, "modify_instance_security_groups", self.modify_security_groups)
        hooks.wrap(EC2Response, "modify_instance_attribute", self.modify_attribute)
        hooks.wrap(EC2Response, "get_console_output", self.console_output)
        hooks.replace(Instance, "block_device_mappings", property(block_device_mappings))
        for name in ("instance_status", "system_status"):
            hooks.replace(Instance, name, property(self.status))

    # requests on several instances: all of them may, or none is touched

    def start_instances(self, original: Any, backend: Any, instance_ids: list[str]) -> Any:
        """Start stopped instances."""
        strict.check_state(backend.get_multi_instances_by_id(instance_ids), strict.MAY_START, "started")
        return original(backend, instance_ids)

    def stop_instances(self, original: Any, backend: Any, instance_ids: list[str]) -> Any:
        """Stop running instances."""
        strict.check_state(backend.get_multi_instances_by_id(instance_ids), strict.MAY_STOP, "stopped")
        return original(backend, instance_ids)

    def reboot_instances(self, original: Any, backend: Any, instance_ids: list[str]) -> Any:
        """Reboot running instances."""
        strict.check_reboot(backend.get_multi_instances_by_id(instance_ids))
        return original(backend, instance_ids)

    # one instance

    def start(self, original: Any, instance: Any) -> Any:
        """Boot a stopped instance's machine."""
        previous = copy.copy(instance._state)
        if previous.name == "stopped":
            original(instance)
            set_state(instance, "pending")
            self.boot(instance)
        return previous

    def stop(self, original: Any, instance: Any) -> Any:
        """Shut the machine down; with ``Force`` cut its power at once, also where it is shutting down already."""
        previous = copy.copy(instance._state)
        forced = str(self.cloud.parameters.get("Force", False)).lower() == "true"
        if previous.name == "running":
            set_state(instance, "stopping")
            self.cloud.job(f"stop {instance.id}", self._stop, instance, not forced)
        elif previous.name == "stopping" and forced:
            # The stop that is under way sees the machine's end and goes on from there.
            self.cloud.job(f"cut {instance.id}", lambda: self.cloud.driver.shut_down(instance.id, graceful=False))
        return previous

    def _stop(self, instance: Any, graceful: bool, reason: tuple[str, str] | None = None) -> None:
        self.cloud.driver.shut_down(instance.id, graceful=graceful)
        self.cloud.wait(self.cloud.latencies.stop)
        with self.cloud.lock:
            if instance.state == "stopping":
                self._stopped(instance)
                if reason:
                    set_reason(instance, *reason)
                self.wires.refresh_addresses()

    def terminate(self, original: Any, instance: Any) -> Any:
        """End the machine for good; volumes are deleted or kept as the block device mapping says."""
        previous = copy.copy(instance._state)
        if previous.name not in ("shutting-down", "terminated"):
            set_state(instance, "shutting-down")
            self.cloud.job(f"terminate {instance.id}", self._terminate, instance, previous.name == "running")
        return previous

    def _terminate(self, instance: Any, graceful: bool, reason: tuple[str, str] | None = None) -> None:
        self.cloud.driver.shut_down(instance.id, graceful=graceful)
        self.cloud.wait(self.cloud.latencies.terminate)
        with self.cloud.lock:
            instance.lab_releasing = True
            backend = instance.ec2_backend
            for address in [each for each in backend.addresses if each.instance_id == instance.id]:
                backend.disassociate_address(address=address.public_ip)
            self._terminated(instance)
            if reason:
                set_reason(instance, *reason)
            self.wires.refresh_addresses()
        self.cloud.driver.forget(instance.id)

    def reboot(self, original: Any, instance: Any) -> None:
        """Shut the machine down and boot it; the instance stays ``running``."""
        self.cloud.job(f"reboot {instance.id}", self._reboot, instance)

    def _reboot(self, instance: Any) -> None:
        self.cloud.driver.shut_down(instance.id, graceful=True)
        self.boot_machine(instance)

    # machines

    def boot(self, instance: Any) -> None:
        """Boot the machine of a ``pending`` instance, in a job. The caller holds the lock."""
        instance.lab_running_since = None
        self.wires.refresh_addresses()
        self.cloud.job(f"boot {instance.id}", self.boot_machine, instance)

    def boot_machine(self, instance: Any) -> None:
        """Start the machine and wait for it, in a job: the caller holds no lock."""
        with self.cloud.lock:
            if instance.state not in ("pending", "running"):
                return
            instance.lab_impaired = False
            plan = self.cloud.seams.boot(boot_plan(instance), detaching(instance))
        try:
            ready = self.cloud.driver.boot(plan)
        except MachineFailed as error:
            self._boot_failed(instance, str(error))
            return
        if ready:
            self.cloud.wait(self.cloud.latencies.pending_to_running)
        elif not self.cloud.driver.running(instance.id):
            return  # it ended by itself: `machine_ended` knows how
        with self.cloud.lock:
            self._is_up(instance, impaired=not ready)

    def _is_up(self, instance: Any, *, impaired: bool) -> None:
        """Call an instance ``running``. One whose machine does not answer is so too, as on EC2; its checks fail."""
        if instance.state in ("pending", "running"):
            set_state(instance, "running")
            instance.lab_impaired = impaired
            instance.lab_running_since = time.monotonic()
            self.wires.refresh()

    def _boot_failed(self, instance: Any, text: str) -> None:
        """A launch that fails ends ``terminated``, a start that fails ends ``stopped``, as on EC2."""
        log.error("%s", text)
        reason = ("Server.InternalError", f"Internal error on launch: {text.splitlines()[0]}")
        with self.cloud.lock:
            first = not getattr(instance, "lab_was_up", False)
            if instance.state == "running":
                instance.lab_impaired = True
            if instance.state != "pending":
                return
            set_state(instance, "shutting-down" if first else "stopping")
        (self._terminate if first else self._stop)(instance, False, reason)

    def machine_ended(self, instance_id: str, how: str) -> None:
        """Take note of a machine that ended by itself: the guest rebooted, powered off, panicked, or was killed."""
        log.info("machine %s ended by itself: %s", instance_id, how)
        self.cloud.job(f"ended {instance_id}", self._ended, instance_id, how)

    def _ended(self, instance_id: str, how: str) -> None:
        with self.cloud.lock:
            instance = next(each for each in self.cloud.instances() if each.id == instance_id)
            if instance.state not in ("pending", "running"):
                return
            stays = instance.instance_initiated_shutdown_behavior == "stop"
            if how == "halt":
                set_state(instance, "stopping" if stays else "shutting-down")
            elif how != "reboot":
                self._is_up(instance, impaired=True)
        if how == "reboot":
            self.boot_machine(instance)
        elif how == "halt":
            (self._stop if stays else self._terminate)(instance, False, GUEST_ENDED)

    # what is said of an instance

    def status(self, instance: Any) -> dict[str, Any]:
        """Return a status check as EC2 does: initializing for a while, then ok; impaired when the machine is dead."""
        if instance.state != "running":
            return {"Status": "not-applicable"}
        since = getattr(instance, "lab_running_since", None)
        if getattr(instance, "lab_impaired", False):
            status, check = "impaired", "failed"
        elif since is None or time.monotonic() - since < self.cloud.latencies.status_checks:
            status, check = "initializing", "initializing"
        else:
            status, check = "ok", "passed"
        return {"Details": [{"Name": "reachability", "Status": check}], "Status": status}

    def console_output(self, original: Any, response: Any) -> Any:
        """Answer with what the machine really wrote."""
        result = original(response)
        text = self.cloud.driver.console(result.result["InstanceId"])
        result.result["Output"] = Base64EncodedString.from_raw_string(text)
        return result

    def modify_attribute(self, original: Any, response: Any) -> Any:
        """Refuse what needs a stopped instance; set the shutdown behaviour, for which moto would drop the groups."""
        parameters = self.cloud.parameters
        instance = self.cloud.backend.get_instance(parameters.get("InstanceId"))
        for name in ("InstanceType", "UserData"):
            if name in parameters:
                strict.check_change_when_stopped(instance, name)
        behavior = parameters.get("InstanceInitiatedShutdownBehavior")
        if behavior is None:
            return original(response)
        response.error_on_dryrun()
        instance.instance_initiated_shutdown_behavior = behavior["Value"]
        return EmptyResult()

    def modify_security_groups(self, original: Any, backend: Any, instance_id: str, group_ids: list[str]) -> Any:
        """Replace the groups of the network interface as well: moto leaves those of the launch on it."""
        instance = original(backend, instance_id, group_ids)
        instance.nics[0]._group_set = list(instance.security_groups)
        return instance


def find(original: Any, backend: Any, ids: Any, *arguments: Any, **keywords: Any) -> Any:
    """Refuse malformed instance ids before unknown ones."""
    strict.check_ids([ids] if isinstance(ids, str) else ids)
    return original(backend, ids, *arguments, **keywords)


def set_state(instance: Any, name: str) -> None:
    """Put an instance into a state; a new object, because answers keep the old one as the previous state."""
    instance._state = InstanceState(name, CODES[name])
    if name == "running":
        instance.lab_was_up = True


def set_reason(instance: Any, code: str, message: str) -> None:
    """Say why an instance is in its state."""
    instance._reason = message
    instance.state_reason = StateReason(f"{code}: {message}", code)


def boot_plan(instance: Any) -> BootPlan:
    """Return the machine that an instance is: its address, its root, its other disks in the order of their names."""
    disks = {device: DiskPlan(mapping.volume_id, device) for device, mapping in instance.get_block_device_mapping}
    root = disks.pop(instance.root_device_name, None)
    if root is None:
        raise MachineFailed(f"{instance.id} has no root volume at {instance.root_device_name}")
    return BootPlan(
        instance_id=instance.id,
        private_ip=instance.private_ip,
        mac=instance.nics[0].mac_address,
        root=root,
        disks=tuple(disks[device] for device in sorted(disks)),
    )


def detaching(instance: Any) -> frozenset[str]:
    """Return the volumes whose detachment from the instance has begun."""
    found = (instance.ec2_backend.volumes.get(each.volume_id) for _, each in instance.get_block_device_mapping)
    bonds = [each.attachment for each in found if each is not None and each.attachment]
    return frozenset(bond.volume.id for bond in bonds if bond.status in ("detaching", "busy"))


def block_device_mappings(instance: Any) -> list[dict[str, Any]]:
    """Return the mapping with the attachment's own state, which moto guesses from the volume's."""
    result = []
    for device, mapping in instance.get_block_device_mapping:
        shown = copy.copy(mapping)
        volume = instance.ec2_backend.volumes.get(mapping.volume_id)
        shown.status = volume.attachment.status if volume and volume.attachment else "detached"
        result.append({"DeviceName": device, "Ebs": shown})
    return result
