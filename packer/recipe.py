"""The image, as a table of contents: which scripts run in the machine, in which order, with what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packer.programs import gpu_packages
from transcoder import shape
from transcoder.errors import Refused
from transcoder.settings import Settings

SCRIPTS = Path(__file__).parent / "provision"
PACKAGES = ("ca-certificates", "chrony", "curl", "e2fsprogs", "lsof", "psmisc", "python3")
"""Beside ``image.extra_packages``. python3 is for the checks in /usr/local/lib/transcoder."""
ROOTFS, BINARIES = "rootfs.tar", "binaries.tar"
KEY_PACKAGES = ("openssl", "python3-pycryptodome")
"""What makes the node's key where no geth can (``new-account``)."""
APT_BUDGET_SECONDS = 600
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?")


@dataclass(frozen=True)
class Upload:
    """A file that is copied into the machine: ``name`` beside the template, ``destination`` on the machine."""

    name: str
    destination: str


@dataclass(frozen=True)
class Script:
    """A script of ``provision/`` that runs in the machine as root, with these environment variables."""

    name: str
    title: str
    environment: Mapping[str, str] = field(default_factory=dict)


Step = Upload | Script


def image_steps(settings: Settings, rootfs_sha256: str, binaries_sha256: str) -> tuple[Step, ...]:
    """Return the provisioning of the image, in order.

    :raises Refused: when a package of the settings has no package's name.
    """
    volumes = shape.data_volumes(settings)
    users = " ".join(f"{volume.service.user}:{volume.service.id}" for volume in volumes)
    mounts = " ".join(volume.mount for volume in volumes)
    units = " ".join(shape.units(settings))
    rootfs, binaries = f"/tmp/transcoder-{ROOTFS}", f"/tmp/transcoder-{BINARIES}"  # noqa: S108  on the build machine
    geth = settings.geth.version.removeprefix("v") if settings.geth.enabled else ""
    versions = {"GETH_VERSION": geth, "LIVEPEER_VERSION": settings.livepeer.version.removeprefix("v")}
    return (
        Script("10-wait-for-apt.sh", "wait for apt", {"APT_BUDGET_SECONDS": str(APT_BUDGET_SECONDS)}),
        Script("20-packages.sh", "install packages", {"PACKAGES": " ".join(package_names(settings))}),
        Script("30-users.sh", "make the service users", {"USERS": users, "MOUNT_POINTS": mounts}),
        Upload(ROOTFS, rootfs),
        Script("40-rootfs.sh", "lay files over", {"ROOTFS": rootfs, "ROOTFS_SHA256": rootfs_sha256}),
        Upload(BINARIES, binaries),
        Script("50-binaries.sh", "install programs", {"BINARIES": binaries, "BINARIES_SHA256": binaries_sha256}),
        Script("60-enable.sh", "enable the units", {"UNITS": units}),
        Script("80-clean.sh", "remove what belongs to one machine"),
        Script("90-prove.sh", "prove the image", {"USERS": users, "UNITS": units, **versions}),
    )


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
    return tuple(
        f"{step.name.removesuffix('.sh')}: {step.title}" if isinstance(step, Script) else f"upload {step.name}"
        for step in steps
    )
