"""The checks alone, on models that have just what a check looks at. The whole of EC2 is in ``tests/contract/ec2``."""

from __future__ import annotations

import ipaddress
from types import SimpleNamespace
from typing import Any

import pytest

from lab.hooks import API_ERRORS
from lab.reconcile.launch import merged_mappings, next_address
from lab.reconcile.wiring import ingress
from lab.strict import addresses, images, instances, parameters, requests, volumes


def instance(state: str = "running", zone: str = "us-east-1a", **devices: str) -> Any:
    return SimpleNamespace(
        id="i-0123456789abcdef0",
        state=state,
        availability_zone=zone,
        root_device_name="/dev/sda1",
        block_device_mapping={f"/dev/{name}": SimpleNamespace(volume_id=id_) for name, id_ in devices.items()},
    )


def volume(attached_to: Any = None, device: str = "/dev/sdg", status: str = "available") -> Any:
    attachment = SimpleNamespace(instance=attached_to, device=device) if attached_to else None
    return SimpleNamespace(
        id="vol-0123456789abcdef0", availability_zone="us-east-1a", attachment=attachment, status=status
    )


def code_of(check: Any, *arguments: Any, **keywords: Any) -> str:
    """Return the AWS error code that a check answers with."""
    with pytest.raises(API_ERRORS) as caught:
        check(*arguments, **keywords)
    return str(caught.value.code)  # type: ignore[attr-defined]  # moto has no types


def test_a_free_volume_and_a_free_name_may_be_attached() -> None:
    for state in ("running", "stopped"):
        volumes.check_attach(volume(), instance(state, sda1="vol-1"), "/dev/sdg")


@pytest.mark.parametrize("state", ["pending", "stopping", "shutting-down", "terminated"])
def test_an_instance_that_is_on_its_way_takes_no_volume(state: str) -> None:
    assert code_of(volumes.check_attach, volume(), instance(state), "/dev/sdg") == "IncorrectState"


def test_a_volume_in_use_a_wrong_zone_and_a_taken_name_have_their_codes() -> None:
    holder = instance()
    assert code_of(volumes.check_attach, volume(holder), instance(), "/dev/sdg") == "VolumeInUse"
    assert code_of(volumes.check_attach, volume(), instance(zone="b"), "/dev/sdg") == "InvalidVolume.ZoneMismatch"
    assert code_of(volumes.check_attach, volume(), instance(sdg="vol-1"), "/dev/sdg") == "InvalidParameterValue"
    assert code_of(volumes.check_attach, volume(status="creating"), instance(), "/dev/sdg") == "IncorrectState"


def test_sdg_and_xvdg_are_the_same_place() -> None:
    assert code_of(volumes.check_attach, volume(), instance(sdg="vol-1"), "/dev/xvdg") == "InvalidParameterValue"


def test_a_seventeenth_disk_has_no_place() -> None:
    full = instance(**{f"sd{letter}": "vol-1" for letter in "abcdefghijklmnop"})
    assert code_of(volumes.check_attach, volume(), full, "/dev/sdq") == "AttachmentLimitExceeded"


def test_a_detach_names_its_instance_or_none() -> None:
    holder = instance()
    volumes.check_detach(volume(holder), None, "")
    volumes.check_detach(volume(holder), holder, "/dev/sdg")
    other = SimpleNamespace(id="i-0000000000000000f")
    assert code_of(volumes.check_detach, volume(holder), other, "") == "InvalidAttachment.NotFound"
    assert code_of(volumes.check_detach, volume(holder), holder, "/dev/sdh") == "InvalidAttachment.NotFound"
    assert code_of(volumes.check_detach, volume(), None, "") == "IncorrectState"


def test_a_root_is_detached_from_a_stopped_instance_only() -> None:
    volumes.check_detach(volume(instance("stopped"), "/dev/sda1"), None, "")
    assert code_of(volumes.check_detach, volume(instance(), "/dev/sda1"), None, "") == "OperationNotPermitted"


@pytest.mark.parametrize(("size", "kind"), [(0, "gp2"), (3, "io1"), (16385, "gp2"), (124, "st1"), (1, "gp9")])
def test_a_size_that_the_type_does_not_come_in_is_refused(size: int, kind: str) -> None:
    assert code_of(volumes.check_size, size, kind) == "InvalidParameterValue"


@pytest.mark.parametrize("wrong", ["i-bad", "i-", "vol-0123456789abcdef0", "i-0123456789ABCDEF0", ""])
def test_what_is_no_instance_id_is_malformed(wrong: str) -> None:
    assert code_of(instances.check_ids, [wrong]) == "InvalidInstanceID.Malformed"


def test_old_and_new_instance_ids_are_ids() -> None:
    instances.check_ids(["i-01234567", "i-0123456789abcdef0"])


def test_one_wrong_instance_stops_the_whole_request() -> None:
    both = [instance("running"), instance("terminated")]
    assert code_of(instances.check_state, both, instances.MAY_STOP, "stopped") == "IncorrectInstanceState"


@pytest.mark.parametrize(
    ("kind", "parameter", "wrong", "code"),
    [
        ("vol", "VolumeId", "d1", "InvalidParameterValue"),
        ("vol", "VolumeId", "vol-xyz", "InvalidParameterValue"),
        ("snap", "SnapshotId", "vol-0123456789abcdef0", "InvalidParameterValue"),
        ("i", "InstanceId", "i-bad", "InvalidInstanceID.Malformed"),
        ("ami", "ImageId", "ami-", "InvalidAMIID.Malformed"),
        ("sg", "GroupId", "nodes", "InvalidGroupId.Malformed"),
    ],
)
def test_text_that_is_no_id_of_its_kind_is_malformed(kind: str, parameter: str, wrong: str, code: str) -> None:
    assert code_of(requests.check_form, kind, parameter, wrong) == code


def test_what_is_malformed_is_said_in_ec2_s_words() -> None:
    with pytest.raises(API_ERRORS, match=r"Value \(d1\) for parameter volumeId is invalid\. Expected: 'vol-\.\.\.'\."):
        requests.check_form("vol", "VolumeId", "d1")


def test_every_kind_that_a_parameter_names_can_be_looked_for() -> None:
    assert set(requests.NAMED_BY.values()) <= set(requests.KINDS)


def test_every_id_of_a_list_is_looked_for() -> None:
    backend = SimpleNamespace(volumes={"vol-01234567": None}, all_instances=lambda: [instance()])
    known = {"VolumeId": "vol-01234567", "InstanceIds": ["i-0123456789abcdef0"]}
    requests.check_named(backend, known)
    more = known | {"InstanceIds": ["i-0123456789abcdef0", "i-01234567"]}
    assert code_of(requests.check_named, backend, more) == "InvalidInstanceID.NotFound"


@pytest.mark.parametrize("missing", [{}, {"VolumeId": ""}, {"VolumeId": None}, {"VolumeId": []}])
def test_an_empty_parameter_is_a_missing_one(missing: dict[str, Any]) -> None:
    assert code_of(requests.check_whole, ["VolumeId"], missing) == "MissingParameter"


def test_a_snapshot_is_taken_of_a_volume_that_is_there_and_copied_when_it_is_complete() -> None:
    volumes.check_snapshot(volume())
    assert code_of(volumes.check_snapshot, volume(status="creating")) == "IncorrectState"
    assert code_of(volumes.check_completed, SimpleNamespace(id="snap-1", status="pending")) == "IncorrectState"
    assert code_of(volumes.check_region, ("us-east-1",), "us-west-2") == "InvalidParameterValue"


def subnet(cidr: str = "172.31.210.0/26", taken: tuple[str, ...] = ()) -> Any:
    reserved = {ipaddress.ip_address(f"172.31.210.{host}") for host in range(1, 10)}
    network = ipaddress.ip_network(cidr)
    return SimpleNamespace(
        id="subnet-1", cidr=network, cidr_block=cidr, _reserved_ips=reserved, _subnet_ips=dict.fromkeys(taken)
    )


def test_a_subnet_off_the_bridge_is_refused() -> None:
    bridge = ipaddress.IPv4Network("172.31.210.0/25")
    instances.check_subnet(subnet(), bridge)
    assert code_of(instances.check_subnet, subnet("10.0.0.0/24"), bridge) == "UnsupportedOperation"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("172.31.210.20", "InvalidIPAddress.InUse"),
        ("172.31.210.1", "InvalidParameterValue"),
        ("172.31.210.64", "InvalidParameterValue"),
    ],
)
def test_a_private_address_must_be_free_and_of_the_subnet(address: str, code: str) -> None:
    assert code_of(instances.check_private_address, subnet(taken=("172.31.210.20",)), address) == code
    instances.check_private_address(subnet(), "172.31.210.21")


def test_addresses_start_at_ten_and_rest_before_they_are_used_again() -> None:
    here = subnet()
    given = [next_address(here, None) for _ in range(2)]
    del here._subnet_ips[given[0]]
    given.append(next_address(here, None))
    assert given == ["172.31.210.10", "172.31.210.11", "172.31.210.12"]


def test_a_full_subnet_says_so_and_a_freed_address_is_found_again() -> None:
    here = subnet(taken=tuple(f"172.31.210.{host}" for host in range(10, 62)))
    assert next_address(here, None) == "172.31.210.62"
    assert code_of(next_address, here, None) == "InsufficientFreeAddressesInSubnet"
    del here._subnet_ips["172.31.210.30"]
    assert next_address(here, None) == "172.31.210.30"


IMAGE = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": "snap-1", "VolumeSize": 8, "DeleteOnTermination": True}}]


def test_a_launch_changes_only_what_it_names_of_the_image() -> None:
    merged = merged_mappings(IMAGE, [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 20}}], "/dev/sda1")
    assert merged[0]["Ebs"] == {"SnapshotId": "snap-1", "VolumeSize": 20, "DeleteOnTermination": True}
    assert IMAGE[0]["Ebs"]["VolumeSize"] == 8  # type: ignore[index]


def test_a_launch_adds_and_removes_devices_and_the_root_comes_first() -> None:
    image = [{"DeviceName": "/dev/sdb", "Ebs": {"SnapshotId": "snap-2"}}, *IMAGE]
    added = {"DeviceName": "/dev/sdc", "Ebs": {"VolumeSize": 1}}
    removed = {"DeviceName": "/dev/xvdb", "NoDevice": ""}
    merged = merged_mappings(image, [added, removed], "/dev/sda1")
    assert [mapping["DeviceName"] for mapping in merged] == ["/dev/sda1", "/dev/sdc"]


def test_an_address_moves_unless_that_is_forbidden() -> None:
    held = SimpleNamespace(id="eni-1")
    address = SimpleNamespace(eni=held, allocation_id="eipalloc-1", association_id="eipassoc-1", public_ip="1.2.3.4")
    other = SimpleNamespace(id="eni-2")
    addresses.check_associate(address, other, instance(), reassociation=True)
    addresses.check_associate(address, held, instance(), reassociation=False)
    refused = code_of(addresses.check_associate, address, other, instance(), reassociation=False)
    assert refused == "Resource.AlreadyAssociated"
    assert code_of(addresses.check_release, address) == "InvalidIPAddress.InUse"


@pytest.mark.parametrize(
    ("name", "code"),
    [(None, "MissingParameter"), ("ab", "InvalidAMIName.Malformed"), ("a*b", "InvalidAMIName.Malformed")],
)
def test_an_image_needs_a_proper_name(name: str | None, code: str) -> None:
    assert code_of(images.check_name, SimpleNamespace(amis={}), name) == code


def test_an_image_name_is_given_once() -> None:
    backend = SimpleNamespace(amis={"ami-1": SimpleNamespace(id="ami-1", name="lab/stock/x")})
    assert code_of(images.check_name, backend, "lab/stock/x") == "InvalidAMIName.Duplicate"


def test_a_parameter_is_as_long_as_its_tier_allows() -> None:
    parameters.check_value("x" * 4096, "Standard")
    parameters.check_value("x" * 8192, "Intelligent-Tiering")
    assert code_of(parameters.check_value, "x" * 4097, "Standard") == "ValidationException"
    assert code_of(parameters.check_value, "x" * 8193, "Advanced") == "ValidationException"


def test_a_group_as_a_source_is_its_members() -> None:
    rule = SimpleNamespace(ip_protocol="tcp", from_port=22, to_port=22, ip_range={}, source_group={"GroupId": "sg-1"})
    open_rule = SimpleNamespace(
        ip_protocol="-1", from_port=None, to_port=None, ip_range={"CidrIp": "0.0.0.0/0"}, source_group={}
    )
    group = SimpleNamespace(id="sg-2", ingress_rules=[rule, open_rule])
    found = ingress([group], {"sg-1": ["172.31.210.10", "172.31.210.11"]})
    assert [(each.protocol, each.source) for each in found] == [
        ("-1", "0.0.0.0/0"),
        ("tcp", "172.31.210.10/32"),
        ("tcp", "172.31.210.11/32"),
    ]
