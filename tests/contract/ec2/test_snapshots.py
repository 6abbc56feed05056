"""Snapshots: pending for a while, good for a volume in any zone, and copied to another region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.contract.conftest import REAL, LabNone
from tests.contract.ec2.conftest import Ec2, eventually, refused


@dataclass
class Snapshots:
    """Snapshots of one region, and those that a test has made there."""

    client: Any
    made: list[str] = field(default_factory=list)

    def describe(self, snapshot_id: str) -> dict[str, Any]:
        """Return EC2's description of a snapshot."""
        return dict(self.client.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0])

    def take(self, volume_id: str) -> str:
        """Begin a snapshot of a volume."""
        self.made.append(str(self.client.create_snapshot(VolumeId=volume_id)["SnapshotId"]))
        return self.made[-1]

    def copy(self, snapshot_id: str, source: str, **wanted: Any) -> str:
        """Begin a copy of a snapshot."""
        asked = {"SourceRegion": source, "SourceSnapshotId": snapshot_id}
        self.made.append(str(self.client.copy_snapshot(**asked, **wanted)["SnapshotId"]))
        return self.made[-1]

    def complete(self, snapshot_id: str) -> None:
        """Wait until a snapshot is complete."""
        eventually(lambda: self.describe(snapshot_id)["State"], "completed")

    def remove(self) -> None:
        """Delete what was made and is still there."""
        here = {each["SnapshotId"] for each in self.client.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
        for snapshot_id in here & set(self.made):
            self.client.delete_snapshot(SnapshotId=snapshot_id)


@pytest.fixture
def here(ec2: Ec2) -> Iterator[Snapshots]:
    """Return the snapshots of the region that the tests are in."""
    snapshots = Snapshots(ec2.client)
    yield snapshots
    snapshots.remove()


@pytest.fixture
def there(lab_none: LabNone) -> Iterator[Snapshots]:
    """Return the snapshots of the lab's second region."""
    if REAL:
        pytest.skip("not against the real EC2")
    snapshots = Snapshots(lab_none.client("ec2", lab_none.configuration.second_region))
    yield snapshots
    snapshots.remove()


def test_a_pending_snapshot_says_how_far_it_is_and_makes_no_volume(ec2: Ec2, here: Snapshots) -> None:
    snapshot = here.take(ec2.volume())
    shown = here.describe(snapshot)
    assert shown["State"] == "pending"
    assert shown["Progress"] in ("", *(f"{percent}%" for percent in range(100)))
    with refused("IncorrectState", saying=snapshot):
        ec2.client.create_volume(SnapshotId=snapshot, AvailabilityZone=ec2.zones[0])
    here.complete(snapshot)
    assert here.describe(snapshot)["Progress"] == "100%"


def test_a_snapshot_makes_a_volume_in_the_other_zone(ec2: Ec2, here: Snapshots) -> None:
    snapshot = here.take(ec2.volume(zone=0))
    here.complete(snapshot)
    copy = ec2.volume(zone=1, SnapshotId=snapshot)
    shown = ec2.describe_volume(copy)
    assert (shown["AvailabilityZone"], shown["SnapshotId"], shown["Size"]) == (ec2.zones[1], snapshot, 1)
    ec2.attach(copy, ec2.instance(zone=1))


def test_a_volume_in_use_is_snapshotted_and_stays_in_use(ec2: Ec2, here: Snapshots) -> None:
    volume = ec2.volume()
    ec2.attach(volume, ec2.instance())
    here.complete(here.take(volume))
    assert ec2.attachment(volume) == "attached"


def test_a_pending_snapshot_is_not_copied(ec2: Ec2, here: Snapshots) -> None:
    snapshot = here.take(ec2.volume())
    with refused("IncorrectState", "InvalidParameterValue"):
        here.copy(snapshot, ec2.client.meta.region_name)


def test_a_copy_is_a_snapshot_of_its_own(ec2: Ec2, here: Snapshots) -> None:
    original = here.take(ec2.volume())
    here.complete(original)
    copy = here.copy(original, ec2.client.meta.region_name, Description="copied")
    here.complete(copy)
    ec2.client.delete_snapshot(SnapshotId=original)
    shown = here.describe(copy)
    assert (shown["VolumeSize"], shown["Description"], shown["VolumeId"]) == (1, "copied", "vol-ffffffff")
    ec2.volume(SnapshotId=copy)


# a second region


def test_a_snapshot_goes_to_the_other_region_with_its_tags_and_makes_a_volume_there(
    lab_none: LabNone, ec2: Ec2, here: Snapshots, there: Snapshots
) -> None:
    original = here.take(ec2.volume())
    here.complete(original)
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "of", "Value": original}]}]
    copy = there.copy(original, lab_none.configuration.region, TagSpecifications=tags)
    there.complete(copy)
    assert there.describe(copy)["Tags"] == tags[0]["Tags"]
    with refused("InvalidSnapshot.NotFound"):
        here.describe(copy)
    zones = lab_none.configuration.zones_of(lab_none.configuration.second_region)
    far = Ec2(there.client, (zones[0], zones[1]), "", ec2.instance_type)
    try:
        assert far.describe_volume(far.volume(SnapshotId=copy))["AvailabilityZone"] == zones[0]
    finally:
        far.remove_everything()


def test_a_region_that_the_lab_does_not_have_is_refused(lab_none: LabNone, ec2: Ec2, lab_only: None) -> None:
    with refused("UnsupportedOperation", saying="no region eu-west-1"):
        lab_none.client("ec2", "eu-west-1").describe_instances()
    with refused("InvalidParameterValue", saying="eu-west-1"):
        ec2.client.copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId="snap-0123456789abcdef0")


def test_an_image_copied_to_the_other_region_runs_there_on_the_same_network(
    lab_none: LabNone, ec2: Ec2, there: Snapshots
) -> None:
    configuration = lab_none.configuration
    zones = configuration.zones_of(configuration.second_region)
    asked = {"SourceImageId": ec2.image_id, "SourceRegion": configuration.region}
    image = there.client.copy_image(Name=f"copied {id(ec2)}", **asked)["ImageId"]

    def described() -> dict[str, Any]:
        return dict(there.client.describe_images(ImageIds=[image])["Images"][0])

    eventually(lambda: described()["State"], "available")
    far = Ec2(there.client, (zones[0], zones[1]), image, ec2.instance_type)
    try:
        near_instance, far_instance = ec2.instance(), far.instance(zone=1, KeyName=configuration.key_name)
        shown = far.describe(far_instance)
        assert shown["Placement"]["AvailabilityZone"] == zones[1]
        assert shown["PrivateIpAddress"] != ec2.describe(near_instance)["PrivateIpAddress"]
        far.attach(far.volume(zone=1), far_instance)
        with refused("InvalidVolume.NotFound"):
            there.client.attach_volume(VolumeId=ec2.volume(), InstanceId=far_instance, Device="/dev/sdh")
        with refused("InvalidInstanceID.NotFound"):
            ec2.client.describe_instances(InstanceIds=[far_instance])
    finally:
        far.remove_everything()
        there.client.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)


def test_addresses_of_both_regions_are_different(lab_none: LabNone, ec2: Ec2, there: Snapshots) -> None:
    allocated = [client.allocate_address(Domain="vpc") for client in (ec2.client, there.client)]
    for client, address in zip((ec2.client, there.client), allocated, strict=True):
        client.release_address(AllocationId=address["AllocationId"])
    assert allocated[0]["PublicIp"] != allocated[1]["PublicIp"]


def test_a_client_token_is_of_one_region(lab_none: LabNone, ec2: Ec2, there: Snapshots) -> None:
    zones = lab_none.configuration.zones_of(lab_none.configuration.second_region)
    far = Ec2(there.client, (zones[0], zones[1]), "", ec2.instance_type)
    try:
        assert far.volume(ClientToken="the-same") != ec2.volume(ClientToken="the-same")
    finally:
        far.remove_everything()
