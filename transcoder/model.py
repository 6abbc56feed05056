"""The nouns: what is known about instances, volumes, addresses and machines. All frozen, none knows AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from transcoder.tags import VERIFIED


@dataclass(frozen=True)
class Attachment:
    """A volume's bond to an instance; ``state`` is EC2's: attaching, attached, detaching, busy."""

    instance_id: str
    device: str
    state: str


@dataclass(frozen=True)
class Volume:
    """An EBS volume. ``size_gib`` in GiB; ``state`` is EC2's; ``attachment`` is None when it is free."""

    id: str
    zone: str
    size_gib: int
    state: str
    attachment: Attachment | None = None
    snapshot_id: str = ""
    encrypted: bool = False
    type: str = "gp2"
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    def attached_to(self, instance_id: str) -> bool:
        """Tell whether EC2 calls it ``attached`` to this very instance (not on its way)."""
        return self.attachment is not None and (self.attachment.instance_id, self.attachment.state) == (
            instance_id,
            "attached",
        )


@dataclass(frozen=True)
class Instance:
    """An EC2 instance. ``state``: pending, running, stopping, stopped, shutting-down, terminated."""

    id: str
    state: str
    zone: str
    image_id: str
    type: str
    private_ip: str = ""
    public_ip: str = ""
    launched: str = ""
    devices: Mapping[str, str] = field(default_factory=dict, hash=False)
    """EC2 device name -> volume id, root included."""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """Its Name tag, or its id where it has none."""
        return self.tags.get("Name") or self.id


@dataclass(frozen=True)
class ElasticIp:
    """An Elastic IP; ``instance_id`` and ``association_id`` are empty when it is free."""

    allocation_id: str
    public_ip: str
    instance_id: str = ""
    association_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Image:
    """An AMI. ``created`` is EC2's ISO 8601 text, which sorts, and so is ``deprecates`` (empty: never).

    ``size_gib``: of all its disks together.
    """

    id: str
    name: str
    state: str
    created: str
    root_device: str = ""
    snapshot_ids: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    size_gib: int = 0
    deprecates: str = ""
    encrypted: bool = False

    @property
    def verified(self) -> bool:
        """Tell whether it has been booted and tested."""
        return bool(self.tags.get(VERIFIED))


@dataclass(frozen=True)
class ImageUse:
    """Something that launches from an image: ``by`` names it for people, such as a launch template."""

    image_id: str
    by: str


@dataclass(frozen=True)
class Snapshot:
    """An EBS snapshot; ``state`` is EC2's: pending, completed, error. ``started`` is ISO 8601 text, which sorts.

    ``progress`` in percent: EC2's own estimate while it is pending.
    """

    id: str
    volume_id: str
    state: str
    size_gib: int
    started: str = ""
    progress: int = 0
    encrypted: bool = False
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class BlockDevice:
    """A block device as the guest sees it (``lsblk``); ``size`` in bytes, ``serial`` is ``vol0abc...`` or empty."""

    path: str
    size: int
    serial: str = ""
    fstype: str = ""
    label: str = ""
    uuid: str = ""
    mountpoints: tuple[str, ...] = ()
    children: int = 0


@dataclass(frozen=True)
class Mount:
    """A mounted file system (``findmnt``)."""

    target: str
    source: str
    fstype: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceState:
    """What systemd says of a unit; ``main_pid`` 0 when nothing runs.

    ``since`` is when it last became active, ``changed`` since when it is as it is now, both in systemd's own words.
    ``told`` is the last that the service itself said of its status (sd_notify), also when it has failed since.
    """

    unit: str
    load: str
    active: str
    sub: str
    main_pid: int = 0
    since: str = ""
    result: str = ""
    restarts: int = 0
    changed: str = ""
    told: str = ""

    @property
    def running(self) -> bool:
        """Tell whether systemd calls it active."""
        return self.active == "active"


@dataclass(frozen=True)
class Marker:
    """The marker file on a data volume: which node it belongs to, and the Ethereum address once there is a key."""

    node: str
    role: str
    address: str = ""
