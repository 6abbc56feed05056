"""Makes the machines match moto's state: one module a noun, each wraps the methods of moto's models that change it."""

from __future__ import annotations

from dataclasses import dataclass

from lab.cloud import Cloud
from lab.hooks import Hooks
from lab.reconcile.addresses import Addresses
from lab.reconcile.images import Images
from lab.reconcile.instances import Instances
from lab.reconcile.launch import Launch
from lab.reconcile.parameters import Parameters
from lab.reconcile.requests import Requests
from lab.reconcile.secrets import Secrets
from lab.reconcile.snapshots import Snapshots
from lab.reconcile.volumes import Volumes
from lab.reconcile.wiring import Wires


@dataclass(frozen=True)
class Reconciler:
    """What the control plane needs of it afterwards."""

    wires: Wires
    images: Images
    instances: Instances


def install(cloud: Cloud, hooks: Hooks) -> Reconciler:
    """Wrap moto, and listen to machines that end by themselves."""
    wires = Wires(cloud)
    instances = Instances(cloud, wires)
    images = Images(cloud, instances)
    disks = (Volumes(cloud), Snapshots(cloud), images)
    machines = (instances, Launch(cloud, instances), Addresses(cloud, wires))
    for part in (Requests(cloud), *disks, *machines, Parameters(), Secrets()):
        part.install(hooks)
    cloud.driver.listen(instances.machine_ended)
    return Reconciler(wires, images, instances)
