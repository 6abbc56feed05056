"""EC2 refuses what would lose data, and takes its time. Each test holds for the lab and for the real EC2.

Run against Amazon's with ``TRANSCODER_TEST_REAL_EC2=1`` (see ``tests/contract/conftest.py``). Tests that would cost
more than a few cents there, or that look at the lab's own addresses, ask for ``lab_only`` and are skipped.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.configuration import INSTANCES
from tests.contract.conftest import REAL, LabNone
from tests.contract.ec2.conftest import Ec2, eventually, refused

# attach


def test_a_volume_is_creating_before_it_is_available(ec2: Ec2) -> None:
    made = ec2.client.create_volume(Size=1, AvailabilityZone=ec2.zones[0])
    ec2.volumes.append(made["VolumeId"])
    assert made["State"] == "creating"
    ec2.await_volume(made["VolumeId"], "available")


def test_a_blank_volume_says_so_with_an_empty_snapshot_id(ec2: Ec2) -> None:
    assert ec2.describe_volume(ec2.volume())["SnapshotId"] == ""


def test_an_attachment_is_attaching_before_it_is_attached(ec2: Ec2) -> None:
    volume, instance = ec2.volume(), ec2.instance()
    answer = ec2.client.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdg")
    assert answer["State"] == "attaching"
    assert ec2.describe_volume(volume)["State"] == "in-use"
    eventually(lambda: ec2.attachment(volume), "attached")
    shown = ec2.describe_volume(volume)["Attachments"][0]
    assert (shown["InstanceId"], shown["Device"], shown["DeleteOnTermination"]) == (instance, "/dev/sdg", False)
    mappings = {m["DeviceName"]: m["Ebs"] for m in ec2.describe(instance)["BlockDeviceMappings"]}
    assert (mappings["/dev/sdg"]["VolumeId"], mappings["/dev/sdg"]["Status"]) == (volume, "attached")


def test_a_volume_in_use_is_not_attached_to_a_second_instance(ec2: Ec2) -> None:
    volume, holder, other = ec2.volume(), ec2.instance(), ec2.instance()
    ec2.attach(volume, holder)
    with refused("VolumeInUse", saying=f"{volume} is already attached to an instance"):
        ec2.client.attach_volume(VolumeId=volume, InstanceId=other, Device="/dev/sdh")
    assert ec2.describe_volume(volume)["Attachments"][0]["InstanceId"] == holder


def test_a_volume_in_use_is_not_attached_again_to_its_own_instance(ec2: Ec2) -> None:
    volume, holder = ec2.volume(), ec2.instance()
    ec2.attach(volume, holder)
    with refused("VolumeInUse"):
        ec2.client.attach_volume(VolumeId=volume, InstanceId=holder, Device="/dev/sdh")


def test_a_volume_of_another_zone_is_not_attached(ec2: Ec2) -> None:
    volume, instance = ec2.volume(zone=1), ec2.instance(zone=0)
    with refused("InvalidVolume.ZoneMismatch", saying="is not in the same availability zone as instance"):
        ec2.client.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdg")


def test_a_device_name_in_use_is_not_given_twice(ec2: Ec2) -> None:
    first, second, instance = ec2.volume(), ec2.volume(), ec2.instance()
    ec2.attach(first, instance, "/dev/sdg")
    with refused("InvalidParameterValue", saying="Attachment point /dev/sdg is already in use"):
        ec2.client.attach_volume(VolumeId=second, InstanceId=instance, Device="/dev/sdg")


def test_a_name_that_is_no_device_is_refused(ec2: Ec2) -> None:
    with refused("InvalidParameterValue", saying="bogus"):
        ec2.client.attach_volume(VolumeId=ec2.volume(), InstanceId=ec2.instance(), Device="bogus")


def test_nothing_is_attached_to_a_terminated_instance(ec2: Ec2) -> None:
    volume, instance = ec2.volume(), ec2.instance()
    ec2.client.terminate_instances(InstanceIds=[instance])
    ec2.await_instance(instance, "terminated")
    with refused("IncorrectState"):
        ec2.client.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdg")


def test_a_stopped_instance_takes_a_volume(ec2: Ec2) -> None:
    volume, instance = ec2.volume(), ec2.instance()
    ec2.client.stop_instances(InstanceIds=[instance])
    ec2.await_instance(instance, "stopped")
    ec2.attach(volume, instance)


def test_unknown_and_malformed_ids_are_told_apart(ec2: Ec2) -> None:
    volume, instance = ec2.volume(), ec2.instance()
    with refused("InvalidVolume.NotFound"):
        ec2.client.attach_volume(VolumeId="vol-0123456789abcdef0", InstanceId=instance, Device="/dev/sdg")
    with refused("InvalidInstanceID.NotFound"):
        ec2.client.attach_volume(VolumeId=volume, InstanceId="i-0123456789abcdef0", Device="/dev/sdg")
    with refused("InvalidInstanceID.Malformed"):
        ec2.client.attach_volume(VolumeId=volume, InstanceId="i-bad", Device="/dev/sdg")
    with refused("InvalidInstanceID.Malformed"):
        ec2.client.describe_instances(InstanceIds=["i-bad"])
    with refused("InvalidInstanceID.NotFound"):
        ec2.client.describe_instances(InstanceIds=["i-0123456789abcdef0"])


def test_a_missing_parameter_is_named(ec2: Ec2) -> None:
    with refused("MissingParameter", saying="InstanceId"):
        ec2.client.attach_volume(VolumeId=ec2.volume(), InstanceId="", Device="/dev/sdg")


def test_a_dry_run_attaches_nothing(ec2: Ec2) -> None:
    volume, instance = ec2.volume(), ec2.instance()
    with refused("DryRunOperation"):
        ec2.client.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdg", DryRun=True)
    assert ec2.describe_volume(volume)["State"] == "available"


# detach


def test_a_detached_volume_is_detaching_before_it_is_available(ec2: Ec2) -> None:
    volume, instance = ec2.volume(), ec2.instance()
    ec2.attach(volume, instance)
    assert ec2.client.detach_volume(VolumeId=volume)["State"] == "detaching"
    assert ec2.attachment(volume) in ("detaching", "")
    ec2.await_volume(volume, "available")
    assert "/dev/sdg" not in [m["DeviceName"] for m in ec2.describe(instance)["BlockDeviceMappings"]]


def test_a_volume_that_is_attached_nowhere_cannot_be_detached(ec2: Ec2) -> None:
    with refused("IncorrectState", saying="available"):
        ec2.client.detach_volume(VolumeId=ec2.volume())


def test_a_volume_that_has_been_detached_cannot_be_detached_again(ec2: Ec2) -> None:
    volume, instance = ec2.volume(), ec2.instance()
    ec2.attach(volume, instance)
    ec2.client.detach_volume(VolumeId=volume, InstanceId=instance)
    ec2.await_volume(volume, "available")
    with refused("IncorrectState", saying="available"):
        ec2.client.detach_volume(VolumeId=volume, InstanceId=instance)


def test_a_device_name_is_free_again_after_a_detach(ec2: Ec2) -> None:
    first, second, instance = ec2.volume(), ec2.volume(), ec2.instance()
    ec2.attach(first, instance, "/dev/sdg")
    ec2.client.detach_volume(VolumeId=first)
    ec2.await_volume(first, "available")
    ec2.attach(second, instance, "/dev/sdg")


def test_a_volume_is_not_detached_from_an_instance_that_does_not_have_it(ec2: Ec2) -> None:
    volume, holder, other = ec2.volume(), ec2.instance(), ec2.instance()
    ec2.attach(volume, holder)
    with refused("InvalidAttachment.NotFound"):
        ec2.client.detach_volume(VolumeId=volume, InstanceId=other)
    assert ec2.attachment(volume) == "attached"


def test_the_root_of_a_running_instance_stays(ec2: Ec2) -> None:
    instance = ec2.instance()
    root = ec2.describe(instance)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    with refused("OperationNotPermitted"):
        ec2.client.detach_volume(VolumeId=root, InstanceId=instance)


def test_an_attached_volume_cannot_be_deleted(ec2: Ec2) -> None:
    volume, instance = ec2.volume(), ec2.instance()
    ec2.attach(volume, instance)
    with refused("VolumeInUse"):
        ec2.client.delete_volume(VolumeId=volume)
    assert ec2.attachment(volume) == "attached"


# volumes and snapshots


def test_a_volume_in_a_zone_that_does_not_exist_is_refused(ec2: Ec2) -> None:
    with refused("InvalidZone.NotFound"):
        ec2.client.create_volume(Size=1, AvailabilityZone=f"{ec2.zones[0]}zz")


def test_the_same_client_token_makes_one_volume(ec2: Ec2) -> None:
    token = {"ClientToken": f"contract-{ec2.image_id}-{id(ec2)}", "AvailabilityZone": ec2.zones[0]}
    first, second = (ec2.client.create_volume(Size=1, **token)["VolumeId"] for _ in range(2))
    ec2.volumes.append(first)
    assert first == second
    with refused("IdempotentParameterMismatch"):
        ec2.client.create_volume(Size=2, **token)


def test_a_snapshot_is_pending_before_it_is_completed_and_outlives_its_volume(ec2: Ec2) -> None:
    volume = ec2.volume()
    snapshot = ec2.client.create_snapshot(VolumeId=volume, Description="contract")
    assert snapshot["State"] == "pending"
    eventually(lambda: snapshot_state(ec2, snapshot["SnapshotId"]), "completed")
    ec2.client.delete_volume(VolumeId=volume)
    copy = ec2.volume(SnapshotId=snapshot["SnapshotId"])
    assert ec2.describe_volume(copy)["SnapshotId"] == snapshot["SnapshotId"]
    ec2.client.delete_snapshot(SnapshotId=snapshot["SnapshotId"])


def test_a_volume_smaller_than_its_snapshot_is_refused(ec2: Ec2) -> None:
    root = ec2.client.describe_images(ImageIds=[ec2.image_id])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]
    with refused("InvalidParameterValue", saying="smaller than snapshot"):
        ec2.client.create_volume(SnapshotId=root["SnapshotId"], Size=1, AvailabilityZone=ec2.zones[0])


def test_a_volume_does_not_shrink(ec2: Ec2) -> None:
    made = ec2.client.create_volume(Size=2, AvailabilityZone=ec2.zones[0])["VolumeId"]
    ec2.volumes.append(made)
    ec2.await_volume(made, "available")
    with refused("InvalidParameterValue"):
        ec2.client.modify_volume(VolumeId=made, Size=1)


def test_an_unknown_snapshot_is_refused(ec2: Ec2) -> None:
    with refused("InvalidSnapshot.NotFound"):
        ec2.client.create_volume(SnapshotId="snap-0123456789abcdef0", AvailabilityZone=ec2.zones[0])


# instances


def test_an_instance_is_pending_before_it_is_running(ec2: Ec2) -> None:
    instance = ec2.instance(state="pending")
    ec2.await_instance(instance, "running")


def test_status_checks_come_after_running(ec2: Ec2) -> None:
    instance = ec2.instance()
    assert check(ec2, instance) in ("initializing", "ok")
    eventually(lambda: check(ec2, instance), "ok")


def test_a_launch_with_an_unknown_image_key_or_type_is_refused(ec2: Ec2) -> None:
    one: dict[str, Any] = {"MinCount": 1, "MaxCount": 1}
    with refused("InvalidAMIID.NotFound"):
        ec2.client.run_instances(ImageId="ami-0123456789abcdef0", InstanceType="t3.nano", **one)
    with refused("InvalidAMIID.Malformed"):
        ec2.client.run_instances(ImageId="bogus", InstanceType="t3.nano", **one)
    with refused("InvalidKeyPair.NotFound"):
        ec2.client.run_instances(ImageId=ec2.image_id, InstanceType="t3.nano", KeyName="no-such-key", **one)
    with refused("InvalidParameterValue", saying="t3.bogus"):
        ec2.client.run_instances(ImageId=ec2.image_id, InstanceType="t3.bogus", **one)
    with refused("InvalidSubnetID.NotFound"):
        ec2.client.run_instances(
            ImageId=ec2.image_id, InstanceType="t3.nano", SubnetId="subnet-0123456789abcdef0", **one
        )


def test_the_same_client_token_launches_one_instance(ec2: Ec2) -> None:
    token = {"ClientToken": f"launch-{id(ec2)}", "ImageId": ec2.image_id, "InstanceType": ec2.instance_type}
    first, second = (ec2.client.run_instances(MinCount=1, MaxCount=1, **token)["Instances"] for _ in range(2))
    ec2.instances.append(first[0]["InstanceId"])
    assert [i["InstanceId"] for i in first] == [i["InstanceId"] for i in second]
    with refused("IdempotentParameterMismatch"):
        ec2.client.run_instances(MinCount=1, MaxCount=2, **token)


def test_the_root_volume_comes_from_the_image_and_dies_with_the_instance(ec2: Ec2) -> None:
    image = ec2.client.describe_images(ImageIds=[ec2.image_id])["Images"][0]
    wanted = [{"DeviceName": image["RootDeviceName"], "Ebs": {"VolumeSize": 9}}]
    instance = ec2.instance(BlockDeviceMappings=wanted)
    described = ec2.describe(instance)
    assert (described["RootDeviceName"], described["RootDeviceType"]) == (image["RootDeviceName"], "ebs")
    (root,) = described["BlockDeviceMappings"]
    volume = ec2.describe_volume(root["Ebs"]["VolumeId"])
    assert (volume["Size"], volume["SnapshotId"]) == (9, image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])
    assert root["Ebs"]["DeleteOnTermination"]
    ec2.client.terminate_instances(InstanceIds=[instance])
    ec2.await_instance(instance, "terminated")
    with refused("InvalidVolume.NotFound"):
        ec2.describe_volume(root["Ebs"]["VolumeId"])


def test_a_data_volume_survives_the_instance(ec2: Ec2) -> None:
    volume, instance = ec2.volume(), ec2.instance()
    ec2.attach(volume, instance)
    ec2.client.terminate_instances(InstanceIds=[instance])
    ec2.await_instance(instance, "terminated")
    ec2.await_volume(volume, "available")


def test_a_launch_makes_its_data_volumes_too(ec2: Ec2) -> None:
    kept = {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 1}}
    doomed = {"DeviceName": "/dev/sdh", "Ebs": {"VolumeSize": 2, "DeleteOnTermination": True}}
    instance = ec2.instance(BlockDeviceMappings=[kept, doomed])
    mappings = {m["DeviceName"]: m["Ebs"] for m in ec2.describe(instance)["BlockDeviceMappings"]}
    assert mappings["/dev/sdh"]["DeleteOnTermination"]
    assert ec2.describe_volume(mappings["/dev/sdh"]["VolumeId"])["Size"] == 2
    ec2.volumes += [mappings["/dev/sdg"]["VolumeId"], mappings["/dev/sdh"]["VolumeId"]]
    assert len(mappings) == 3


def test_a_protected_instance_is_not_terminated(ec2: Ec2) -> None:
    instance = ec2.instance(DisableApiTermination=True)
    with refused("OperationNotPermitted"):
        ec2.client.terminate_instances(InstanceIds=[instance])
    ec2.client.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
    ec2.client.terminate_instances(InstanceIds=[instance])
    ec2.await_instance(instance, "terminated")


def test_stop_and_start_go_through_their_states_and_keep_the_address(ec2: Ec2) -> None:
    instance = ec2.instance()
    address = ec2.describe(instance)["PrivateIpAddress"]
    change = ec2.client.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "stopping")
    ec2.await_instance(instance, "stopped")
    change = ec2.client.start_instances(InstanceIds=[instance])["StartingInstances"][0]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("stopped", "pending")
    ec2.await_instance(instance, "running")
    assert ec2.describe(instance)["PrivateIpAddress"] == address


def test_a_terminated_instance_can_be_neither_started_stopped_nor_rebooted(ec2: Ec2) -> None:
    instance = ec2.instance()
    ec2.client.terminate_instances(InstanceIds=[instance])
    ec2.await_instance(instance, "terminated")
    with refused("IncorrectInstanceState"):
        ec2.client.start_instances(InstanceIds=[instance])
    with refused("IncorrectInstanceState"):
        ec2.client.stop_instances(InstanceIds=[instance])
    with refused("IncorrectState", "IncorrectInstanceState"):
        ec2.client.reboot_instances(InstanceIds=[instance])


def test_terminating_twice_is_no_error(ec2: Ec2) -> None:
    instance = ec2.instance()
    for _ in range(2):
        ec2.client.terminate_instances(InstanceIds=[instance])
        ec2.await_instance(instance, "terminated")


def test_the_type_of_a_running_instance_does_not_change(ec2: Ec2) -> None:
    instance = ec2.instance()
    with refused("IncorrectInstanceState"):
        ec2.client.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "t3.micro"})


def test_setting_the_shutdown_behaviour_leaves_the_security_groups_alone(ec2: Ec2) -> None:
    instance = ec2.instance()
    before = ec2.describe(instance)["SecurityGroups"]
    assert before
    ec2.client.modify_instance_attribute(InstanceId=instance, InstanceInitiatedShutdownBehavior={"Value": "terminate"})
    asked = {"InstanceId": instance, "Attribute": "instanceInitiatedShutdownBehavior"}
    shown = ec2.client.describe_instance_attribute(**asked)
    assert shown["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    assert ec2.describe(instance)["SecurityGroups"] == before


def test_tags_are_not_put_on_what_does_not_exist(ec2: Ec2) -> None:
    with refused("InvalidVolume.NotFound"):
        ec2.client.create_tags(Resources=["vol-0123456789abcdef0"], Tags=[{"Key": "a", "Value": "b"}])
    with refused("InvalidParameterValue"):
        ec2.client.create_tags(Resources=[ec2.volume()], Tags=[{"Key": "aws:a", "Value": "b"}])


# images


def test_an_image_is_pending_before_it_is_available_and_launches(ec2: Ec2) -> None:
    instance = ec2.instance()
    ec2.client.stop_instances(InstanceIds=[instance])
    ec2.await_instance(instance, "stopped")
    name = f"contract {id(ec2)}"
    image = ec2.client.create_image(InstanceId=instance, Name=name)["ImageId"]
    assert image_state(ec2, image) in ("pending", "available")
    eventually(lambda: image_state(ec2, image), "available")
    described = ec2.client.describe_images(ImageIds=[image])["Images"][0]
    assert described["RootDeviceType"] == "ebs"
    with refused("InvalidAMIName.Duplicate"):
        ec2.client.create_image(InstanceId=instance, Name=name)
    world = Ec2(ec2.client, ec2.zones, image, ec2.instance_type)
    try:
        world.instance()
    finally:
        world.remove_everything()
        ec2.client.deregister_image(ImageId=image)
        for mapping in described["BlockDeviceMappings"]:
            ec2.client.delete_snapshot(SnapshotId=mapping["Ebs"]["SnapshotId"])
    with refused("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
        ec2.client.run_instances(ImageId=image, InstanceType=ec2.instance_type, MinCount=1, MaxCount=1)


def test_a_running_instance_is_imaged_without_changing_its_state(ec2: Ec2, lab_only: None) -> None:
    instance = ec2.instance()
    tags = [
        {"ResourceType": "image", "Tags": [{"Key": "of", "Value": "image"}]},
        {"ResourceType": "snapshot", "Tags": [{"Key": "of", "Value": "snapshot"}]},
    ]
    image = ec2.client.create_image(InstanceId=instance, Name=f"live {id(ec2)}", TagSpecifications=tags)["ImageId"]
    eventually(lambda: image_state(ec2, image), "available")
    assert ec2.describe(instance)["State"]["Name"] == "running"
    described = ec2.client.describe_images(ImageIds=[image])["Images"][0]
    snapshot = described["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert described["Tags"] == [{"Key": "of", "Value": "image"}]
    assert ec2.client.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["Tags"][0]["Value"] == "snapshot"
    with refused("InvalidSnapshot.InUse"):
        ec2.client.delete_snapshot(SnapshotId=snapshot)
    ec2.client.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    with refused("InvalidSnapshot.NotFound"):
        ec2.client.describe_snapshots(SnapshotIds=[snapshot])


def test_an_image_is_registered_from_a_snapshot_and_copied(ec2: Ec2, lab_only: None) -> None:
    snapshot = ec2.client.create_snapshot(VolumeId=ec2.volume(), Description="root")["SnapshotId"]
    eventually(lambda: snapshot_state(ec2, snapshot), "completed")
    root = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}
    asked: dict[str, Any] = {"RootDeviceName": "/dev/sda1", "Architecture": "x86_64", "VirtualizationType": "hvm"}
    image = ec2.client.register_image(Name=f"registered {id(ec2)}", BlockDeviceMappings=[root], **asked)["ImageId"]
    eventually(lambda: image_state(ec2, image), "available")
    region = ec2.client.meta.region_name
    copied = ec2.client.copy_image(SourceImageId=image, SourceRegion=region, Name=f"copy {id(ec2)}")["ImageId"]
    eventually(lambda: image_state(ec2, copied), "available")
    mapping = ec2.client.describe_images(ImageIds=[copied])["Images"][0]["BlockDeviceMappings"][0]
    assert mapping["Ebs"]["SnapshotId"] != snapshot
    assert (mapping["Ebs"]["VolumeSize"], mapping["Ebs"]["DeleteOnTermination"]) == (1, True)


# addresses


def test_an_elastic_ip_in_use_is_not_moved_when_that_is_forbidden(ec2: Ec2, lab_only: None) -> None:
    first, second = ec2.instance(), ec2.instance()
    address = ec2.client.allocate_address(Domain="vpc")
    allocation = {"AllocationId": address["AllocationId"]}
    association = ec2.client.associate_address(InstanceId=first, **allocation)["AssociationId"]
    assert ec2.client.associate_address(InstanceId=first, **allocation)["AssociationId"] == association
    with refused("Resource.AlreadyAssociated"):
        ec2.client.associate_address(InstanceId=second, AllowReassociation=False, **allocation)
    with refused("InvalidIPAddress.InUse"):
        ec2.client.release_address(**allocation)
    ec2.client.associate_address(InstanceId=second, **allocation)
    assert "PublicIpAddress" not in ec2.describe(first)
    assert ec2.describe(second)["PublicIpAddress"] == address["PublicIp"]
    (shown,) = ec2.client.describe_addresses(AllocationIds=[address["AllocationId"]])["Addresses"]
    assert shown["InstanceId"] == second
    ec2.client.disassociate_address(AssociationId=shown["AssociationId"])
    ec2.client.release_address(**allocation)


def test_a_terminated_instance_lets_its_elastic_ip_go(ec2: Ec2, lab_only: None) -> None:
    instance = ec2.instance()
    allocation = ec2.client.allocate_address(Domain="vpc")["AllocationId"]
    ec2.client.associate_address(InstanceId=instance, AllocationId=allocation)
    ec2.client.terminate_instances(InstanceIds=[instance])
    ec2.await_instance(instance, "terminated")
    ec2.client.release_address(AllocationId=allocation)


@pytest.mark.skipif(REAL, reason="looks at the lab's own addresses")
def test_elastic_ips_are_the_labs_own_and_private_addresses_the_zones(lab_none: LabNone, ec2: Ec2) -> None:
    address = ec2.client.allocate_address(Domain="vpc")
    assert address["PublicIp"] == "172.31.210.160"
    ec2.client.release_address(AllocationId=address["AllocationId"])
    for number, zone in enumerate(ec2.zones):
        described = ec2.describe(ec2.instance(zone=number))
        assert described["Placement"]["AvailabilityZone"] == zone
        address = ipaddress.IPv4Address(described["PrivateIpAddress"])
        assert address in lab_none.configuration.zone_network(zone)
        assert int(str(address).split(".")[3]) in INSTANCES


# what moto does not do


def test_what_the_lab_lacks_is_an_ec2_error(ec2: Ec2, lab_only: None) -> None:
    with refused("UnsupportedOperation"):
        ec2.client.describe_volume_status()


def test_a_lock_parameter_is_created_once(lab_none: LabNone) -> None:
    ssm = lab_none.client("ssm")
    ssm.put_parameter(Name="/lock", Value="me", Type="String", Overwrite=False)
    with pytest.raises(ClientError) as caught:
        ssm.put_parameter(Name="/lock", Value="you", Type="String", Overwrite=False)
    assert caught.value.response["Error"]["Code"] == "ParameterAlreadyExists"
    assert ssm.get_parameter(Name="/lock")["Parameter"]["Value"] == "me"


def test_a_parameter_longer_than_its_tier_allows_is_refused(lab_none: LabNone) -> None:
    ssm = lab_none.client("ssm")
    with refused("ValidationException", saying="maximum parameter value of 4096 characters"):
        ssm.put_parameter(Name="/long", Value="x" * 4097, Type="String")
    ssm.put_parameter(Name="/long", Value="x" * 4097, Type="String", Tier="Advanced")


def test_a_security_group_in_use_is_not_deleted(ec2: Ec2, lab_only: None) -> None:
    group = ec2.client.create_security_group(GroupName=f"contract-{id(ec2)}", Description="contract")["GroupId"]
    instance = ec2.instance(SecurityGroupIds=[group])
    with refused("DependencyViolation"):
        ec2.client.delete_security_group(GroupId=group)
    ec2.client.terminate_instances(InstanceIds=[instance])
    ec2.await_instance(instance, "terminated")
    ec2.client.delete_security_group(GroupId=group)


def test_every_call_is_logged_without_values(ec2: Ec2, lab_none: LabNone) -> None:
    volume = ec2.volume()
    ssm = lab_none.client("ssm")
    ssm.put_parameter(Name="/logged", Value="s3cret-value", Type="SecureString")
    with refused("IncorrectState"):
        ec2.client.detach_volume(VolumeId=volume)
    text = (lab_none.configuration.state_directory / "calls.jsonl").read_text()
    assert "s3cret-value" not in text
    assert '"/logged"' in text
    assert f'"action": "DetachVolume", "resources": {{"VolumeId": "{volume}"}}, "error": "IncorrectState"' in text


def snapshot_state(ec2: Ec2, snapshot_id: str) -> str:
    """Return a snapshot's state."""
    return str(ec2.client.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]["State"])


def image_state(ec2: Ec2, image_id: str) -> str:
    """Return an image's state."""
    return str(ec2.client.describe_images(ImageIds=[image_id])["Images"][0]["State"])


def check(ec2: Ec2, instance_id: str) -> str:
    """Return the status check of an instance, empty while it has none."""
    statuses = ec2.client.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
    return str(statuses[0]["InstanceStatus"]["Status"]) if statuses else ""
