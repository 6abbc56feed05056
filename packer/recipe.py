"""The image, as a table of contents: which scripts run in the machine, in which order, with what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packer.programs import gpu_packages
from transcoder import layout, shape
from transcoder.errors import Refused
from transcoder.settings import Settings

SCRIPTS = Path(__file__).parent / "provision"
PACKAGES = (
    *("ca-certificates", "chrony", "curl", "e2fsprogs", "iptables", "logrotate", "lsof", "psmisc", "python3"),
    "unattended-upgrades",
)
"""Beside ``image.extra_packages``. python3 is for the checks in /usr/local/lib/transcoder."""
SYSTEM_UNITS = ("transcoder-firewall.service",)
"""Units of the image that belong to no volume: they run on every machine, with and without a node."""
ROOTFS, BINARIES = "rootfs.tar", "binaries.tar"
KEY_PACKAGES = ("openssl", "python3-pycryptodome")
"""What makes the node's key where no geth can (``new-account``)."""
PACKAGE_LIST, PROGRAM_SUMS = "packages.tsv", "programs.sha256"
"""What the machine says that it holds: in /etc/transcoder there, and carried out."""
APT_BUDGET_SECONDS = 600
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?")


@dataclass(frozen=True)
class Upload:
    """A file that is copied into the machine: ``name`` beside the template, ``destination`` on the machine."""

    name: str
    destination: str


@dataclass(frozen=True)
class CarryOut:
    """A file that is copied out of the machine: ``source`` there, ``name`` beside the template."""

    name: str
    source: str


@dataclass(frozen=True)
class Script:
    """A script of ``provision/`` that runs in the machine as root, with these environment variables."""

    name: str
    title: str
    environment: Mapping[str, str] = field(default_factory=dict)


Step = Upload | CarryOut | Script


def image_steps(settings: Settings, rootfs_sha256: str, binaries_sha256: str) -> tuple[Step, ...]:
    """Return the provisioning of the image, in order.

    :raises Refused: when a package of the settings has no package's name, or when the image would lock its user out.
    """
    if settings.ssh.user == "root":
        hint = f"name the stock image's own user in {settings.path} (Ubuntu: ubuntu, Debian: admin)"
        raise Refused("ssh.user is root, and the sshd of the image lets no root in", hint=hint)
    volumes = shape.data_volumes(settings)
    users = " ".join(f"{volume.service.user}:{volume.service.id}" for volume in volumes)
    watch = f"{layout.WATCH.user}:{layout.WATCH.id}"
    mounts = " ".join(volume.mount for volume in volumes)
    units = " ".join(baked_units(settings))
    rootfs, binaries = f"/tmp/transcoder-{ROOTFS}", f"/tmp/transcoder-{BINARIES}"  # noqa: S108  on the build machine
    geth = settings.geth.version.removeprefix("v") if settings.geth.enabled else ""
    versions = {"GETH_VERSION": geth, "LIVEPEER_VERSION": settings.livepeer.version.removeprefix("v")}
    resting = " ".join(resting_units(settings))
    proof = {"USERS": users, "WATCH_USER": watch, "UNITS": units, "RESTING_UNITS": resting, **versions}
    return (
        Script("10-wait-for-apt.sh", "wait for apt", {"APT_BUDGET_SECONDS": str(APT_BUDGET_SECONDS)}),
        Script("20-packages.sh", "install packages", {"PACKAGES": " ".join(package_names(settings))}),
        Script("30-users.sh", "make the service users", {"USERS": f"{users} {watch}", "MOUNT_POINTS": mounts}),
        Upload(ROOTFS, rootfs),
        Script("40-rootfs.sh", "lay files over", {"ROOTFS": rootfs, "ROOTFS_SHA256": rootfs_sha256}),
        Script("42-sshd.sh", "make sshd take its file"),
        *_geth_package(settings),
        Upload(BINARIES, binaries),
        Script("50-binaries.sh", "install programs", {"BINARIES": binaries, "BINARIES_SHA256": binaries_sha256}),
        Script("60-enable.sh", "enable the units", {"UNITS": units}),
        Script("70-inventory.sh", "list what the image holds", {"PROGRAMS": " ".join(program_names(settings))}),
        CarryOut(PACKAGE_LIST, f"/etc/transcoder/{PACKAGE_LIST}"),
        CarryOut(PROGRAM_SUMS, f"/etc/transcoder/{PROGRAM_SUMS}"),
        Script("80-clean.sh", "remove what belongs to one machine"),
        Script("90-prove.sh", "prove the image", proof),
    )


def baked_units(settings: Settings) -> tuple[str, ...]:
    """Return the units that run on a machine of the image: those of the node, of the system, and what watches them."""
    timer = (layout.NIGHTLY_TIMER,) if settings.restart.nightly else ()
    return (*shape.units(settings), *SYSTEM_UNITS, layout.COUNTS_UNIT, layout.WATCH.unit, *timer)


def resting_units(settings: Settings) -> tuple[str, ...]:
    """Return the units that are baked, too, and that no boot starts."""
    both = (layout.NIGHTLY_UNIT, layout.NIGHTLY_TIMER)
    return tuple(unit for unit in both if unit not in baked_units(settings))


def archives_of(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """Return the release archives of an image by program, and what is taken out of each."""
    geth = settings.geth.enabled and not settings.geth.from_ppa
    return {**({"geth": ("geth",)} if geth else {}), "livepeer": ("livepeer", "livepeer_cli")}


def program_names(settings: Settings) -> tuple[str, ...]:
    """Return the programs in /usr/local/bin."""
    return (*(("geth",) if settings.geth.enabled else ()), "livepeer", "livepeer_cli")


def _geth_package(settings: Settings) -> tuple[Step, ...]:
    own = settings.geth
    if not own.from_ppa:
        return ()
    environment = {"GETH_VERSION": own.version.removeprefix("v"), "GETH_SHA256": own.sha256}
    return (Script("45-geth-package.sh", f"install geth from {own.source}", environment),)


def package_names(settings: Settings) -> tuple[str, ...]:
    """Return the names of the packages to install, sorted: the recipe's, those of a GPU or of a key, the environment's.

    :raises Refused: for a name that is none: it would become a part of a shell command.
    """
    bad = [name for name in settings.image.extra_packages if not _PACKAGE.fullmatch(name)]
    if bad:
        raise Refused("image.extra_packages has names that no package can have", reasons=[repr(name) for name in bad])
    key = () if shape.has_geth(settings) else KEY_PACKAGES
    return tuple(sorted({*PACKAGES, *key, *gpu_packages(settings), *settings.image.extra_packages}))


def describe_steps(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Return the steps as text, one line each, for the plan."""
    return tuple(_describe(step) for step in steps)


def _describe(step: Step) -> str:
    match step:
        case Script(name, title):
            return f"{name.removesuffix('.sh')}: {title}"
        case Upload(name):
            return f"upload {name}"
        case CarryOut(name):
            return f"carry {name} out"
