"""Where things are on a node: the two volumes, their labels, mounts and directories, and who owns them.

The numbers of users and groups are fixed because a volume travels between images: a file owned by 2101 must
belong to ``livepeer`` on every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

MARKER = ".transcoder.json"
"""File at the root of each data volume: which node and which role the volume has."""


@dataclass(frozen=True)
class Directory:
    """A directory of the node's layout, owned by the service user of its volume."""

    path: str
    mode: str


@dataclass(frozen=True)
class Service:
    """A systemd service and the user it runs as; ``id`` is both uid and gid."""

    unit: str
    user: str
    id: int


@dataclass(frozen=True)
class DataVolume:
    """One of the node's two volumes.

    ``label`` is the ext4 label (at most 16 bytes), ``role`` the value of the EC2 tag, ``mount`` the mount point,
    ``mount_unit`` its systemd unit and ``service`` what runs on it.
    """

    role: str
    label: str
    mount: str
    mount_unit: str
    service: Service
    directories: tuple[Directory, ...]


LIVEPEER = DataVolume(
    role="livepeer",
    label="livepeer-data",
    mount="/d1",
    mount_unit="d1.mount",
    service=Service("livepeer-transcoder.service", "livepeer", 2101),
    directories=(
        Directory("/d1/livepeer", "0755"),
        Directory("/d1/livepeer/logs", "0755"),
        Directory("/d1/livepeer/.lpData", "0700"),
    ),
)
GETH = DataVolume(
    role="geth",
    label="geth-data",
    mount="/d2",
    mount_unit="d2.mount",
    service=Service("geth.service", "geth", 2102),
    directories=(Directory("/d2/geth-data", "0755"),),
)
VOLUMES = (LIVEPEER, GETH)
WATCH = Service("transcoder-watch.service", "transcoder-watch", 2103)
"""What looks at all this. It owns nothing on the volumes."""
COUNTS_UNIT = "transcoder-counts.service"
"""What counts for it what only root may see."""
KEYSTORE = "/d1/livepeer/.lpData/keystore"
"""Where livepeer keeps the node's key: ``<datadir>/keystore`` (go-livepeer 0.2.4)."""
NIGHTLY_UNIT, NIGHTLY_TIMER = "transcoder-nightly-restart.service", "transcoder-nightly-restart.timer"
"""What restarts the services at night, and what starts that where the environment wants it."""
RUNTIME_DIRECTORY = "livepeer-transcoder"
"""Below ``/run``: systemd makes it when the service starts, and removes it when it has ended."""
PASSPHRASE = f"/run/{RUNTIME_DIRECTORY}/passphrase"
"""Where the machine puts the passphrase of its key for livepeer."""
FETCH_PASSPHRASE = "/usr/local/lib/transcoder/fetch-passphrase"  # noqa: S105 - a path
"""What puts it there: in images of environments whose machines fetch one."""
