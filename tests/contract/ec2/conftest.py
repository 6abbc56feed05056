"""An EC2 to ask, be it the lab's or Amazon's, and the making and removing of what a test needs in it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import REAL, LabNone

BUDGET_SECONDS = 300.0 if REAL else 10.0
POLL_SECONDS = 2.0 if REAL else 0.03


@dataclass
class Ec2:
    """A client, two zones, an image, and the things made so far."""

    client: Any
    zones: tuple[str, str]
    image_id: str
    instance_type: str
    volumes: list[str] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)

    def volume(self, zone: int = 0, **wanted: Any) -> str:
        """Return the id of a new volume that is available."""
        volume_id = str(self.client.create_volume(Size=1, AvailabilityZone=self.zones[zone], **wanted)["VolumeId"])
        self.volumes.append(volume_id)
        self.await_volume(volume_id, "available")
        return volume_id

    def instance(self, zone: int = 0, state: str = "running", **wanted: Any) -> str:
        """Return the id of a new instance, once it is in ``state``."""
        answer = self.client.run_instances(
            ImageId=self.image_id,
            InstanceType=self.instance_type,
            MinCount=1,
            MaxCount=1,
            Placement={"AvailabilityZone": self.zones[zone]},
            **wanted,
        )
        instance_id = str(answer["Instances"][0]["InstanceId"])
        self.instances.append(instance_id)
        self.await_instance(instance_id, state)
        return instance_id

    def describe(self, instance_id: str) -> dict[str, Any]:
        """Return EC2's description of an instance."""
        found = self.client.describe_instances(InstanceIds=[instance_id])["Reservations"]
        return dict(found[0]["Instances"][0])

    def describe_volume(self, volume_id: str) -> dict[str, Any]:
        """Return EC2's description of a volume."""
        return dict(self.client.describe_volumes(VolumeIds=[volume_id])["Volumes"][0])

    def attachment(self, volume_id: str) -> str:
        """Return the state of a volume's attachment, empty when it has none."""
        attachments = self.describe_volume(volume_id)["Attachments"]
        return str(attachments[0]["State"]) if attachments else ""

    def attach(self, volume_id: str, instance_id: str, device: str = "/dev/sdg") -> None:
        """Attach, and wait until it is attached."""
        self.client.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device)
        eventually(lambda: self.attachment(volume_id), "attached")

    def await_volume(self, volume_id: str, state: str) -> None:
        """Wait for a volume's state."""
        eventually(lambda: self.describe_volume(volume_id)["State"], state)

    def await_instance(self, instance_id: str, state: str) -> None:
        """Wait for an instance's state."""
        eventually(lambda: self.describe(instance_id)["State"]["Name"], state)

    def remove_everything(self) -> None:
        """Delete what was made."""
        for instance_id in self.instances:
            self.client.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": False})
            self.client.terminate_instances(InstanceIds=[instance_id])
        for instance_id in self.instances:
            self.await_instance(instance_id, "terminated")
        left = {v["VolumeId"] for v in self.client.describe_volumes()["Volumes"]} & set(self.volumes)
        for volume_id in left:
            self.await_volume(volume_id, "available")
            self.client.delete_volume(VolumeId=volume_id)


def eventually(look: Callable[[], Any], wanted: Any) -> None:
    """Poll until ``look()`` gives what is wanted; fail with what it gave last."""
    deadline = time.monotonic() + BUDGET_SECONDS
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"still {seen!r}, not {wanted!r}, after {BUDGET_SECONDS} s"
        time.sleep(POLL_SECONDS)


@contextmanager
def refused(*codes: str, saying: str = "") -> Iterator[None]:
    """Expect EC2 to answer with one of these error codes."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] in codes, error
    assert saying in error["Message"]


@pytest.fixture
def ec2(request: pytest.FixtureRequest) -> Iterator[Ec2]:
    """Return the EC2 to test, and remove afterwards what the test made in it."""
    if REAL:
        client = boto3.client("ec2")
        zones = sorted(z["ZoneName"] for z in client.describe_availability_zones()["AvailabilityZones"])
        world = Ec2(client, (zones[0], zones[1]), os.environ["TRANSCODER_TEST_REAL_AMI"], "t3.nano")
    else:
        lab: LabNone = request.getfixturevalue("lab_none")
        world = Ec2(lab.client("ec2"), lab.configuration.zones, lab.ready.stock_image_id, "t3.nano")
    yield world
    world.remove_everything()


@pytest.fixture
def lab_only() -> None:
    """Skip on the real EC2: the test asks for what only the lab does, or would cost too much there."""
    if REAL:
        pytest.skip("not against the real EC2")
