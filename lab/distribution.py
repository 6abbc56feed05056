"""The operating systems that a stock image can hold, and what goes into them.

The package lists follow what the vendors' own cloud images bring and what an image recipe may rely on. chrony is left
out on purpose: the vendors' images do not have it, so a recipe must install it.
"""

from __future__ import annotations

from dataclasses import dataclass

from transcoder.errors import Refused


@dataclass(frozen=True)
class KeyringPackage:
    """A package that holds an archive keyring, for hosts of another distribution.

    :param url: where the distribution itself publishes it.
    :param sha256: of the .deb file.
    :param member: path of the keyring inside it.
    """

    url: str
    sha256: str
    member: str


@dataclass(frozen=True)
class Distribution:
    """One operating system.

    :param name: the name in settings, ``ubuntu-18.04``.
    :param label: the middle part of the AMI's name, after the vendor's own naming.
    :param user: default user of the vendor's AMI (uid 1000).
    :param keyring: path of the archive keyring on a host of the same distribution.
    :param keyring_packages: names of host packages that bring that keyring, for the hint.
    :param fingerprints: primary keys that must be in the keyring.
    """

    name: str
    suite: str
    label: str
    user: str
    components: tuple[str, ...]
    keyring: str
    keyring_package: str
    fingerprints: tuple[str, ...]
    download: KeyringPackage | None = None
    packages: tuple[str, ...] = ()


# What every image has. The list is the vendors' cloud images' as far as a bake could notice.
PACKAGES = (
    *("apt", "systemd", "systemd-sysv", "udev", "dbus", "libpam-systemd", "kmod", "procps", "psmisc", "lsof", "cron"),
    *("openssh-server", "sudo", "python3", "curl", "wget", "ca-certificates", "gnupg", "lsb-release", "tzdata"),
    *("iproute2", "iputils-ping", "netbase", "e2fsprogs", "xfsprogs", "rsyslog", "logrotate", "less", "rsync"),
    *("unattended-upgrades", "iptables"),
)

# ubuntu-keyring 2023.11.28.1, the package of Ubuntu 24.04, which stays in the archive as long as that release does.
UBUNTU_KEYRING = KeyringPackage(
    url="http://archive.ubuntu.com/ubuntu/pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb",
    sha256="36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8",
    member="usr/share/keyrings/ubuntu-archive-keyring.gpg",
)
# Ubuntu Archive Automatic Signing Key (2012) and (2018).
UBUNTU_FINGERPRINTS = (
    "790BC7277767219C42C86F933B4FE6ACC0B21F32",
    "F6ECB3762474EDA9D21B7022871920D1991BC93C",
)
# Debian Archive Automatic Signing Key (12/bookworm), Debian Stable Release Key (12/bookworm).
DEBIAN_12_FINGERPRINTS = (
    "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8",
    "4D64FEC119C2029067D6E791F8D2585B8783D481",
)


def _ubuntu(version: str, suite: str, packages: tuple[str, ...] = ()) -> Distribution:
    return Distribution(
        name=f"ubuntu-{version}",
        suite=suite,
        label=f"ubuntu-{suite}-{version}",
        user="ubuntu",
        components=("main", "universe"),
        keyring="/usr/share/keyrings/ubuntu-archive-keyring.gpg",
        keyring_package="ubuntu-keyring",
        fingerprints=UBUNTU_FINGERPRINTS,
        download=UBUNTU_KEYRING,
        packages=packages,
    )


# In Ubuntu 18.04 timesyncd is a part of the package systemd.
DISTRIBUTIONS = (
    _ubuntu("18.04", "bionic"),
    _ubuntu("22.04", "jammy", ("systemd-timesyncd",)),
    _ubuntu("24.04", "noble", ("systemd-timesyncd",)),
    Distribution(
        name="debian-12",
        suite="bookworm",
        label="debian-bookworm-12",
        user="admin",
        components=("main",),
        keyring="/usr/share/keyrings/debian-archive-keyring.gpg",
        keyring_package="debian-archive-keyring",
        fingerprints=DEBIAN_12_FINGERPRINTS,
        packages=("systemd-timesyncd",),
    ),
)

# Units that do nothing for a machine of the lab but cost boot time: measured, 8 s with them and 4-5 s without.
# logind, PAM sessions, tmpfiles, the journal, cron and time synchronisation stay.
MASKED_UNITS = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "motd-news.timer"),
    *("motd-news.service", "e2scrub_all.timer", "e2scrub_reap.service", "ondemand.service", "getty@.service"),
    *("getty-static.service", "console-getty.service", "serial-getty@.service", "systemd-binfmt.service"),
    *("proc-sys-fs-binfmt_misc.automount", "proc-sys-fs-binfmt_misc.mount", "dev-mqueue.mount", "dev-hugepages.mount"),
    *("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount"),
    *("sys-fs-fuse-connections.mount", "modprobe@.service", "kmod-static-nodes.service", "systemd-pstore.service"),
    *("systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-random-seed.service"),
    *("systemd-sysusers.service", "systemd-ask-password-console.path", "systemd-ask-password-wall.path"),
    *("systemd-hwdb-update.service", "systemd-networkd.service", "systemd-networkd.socket"),
    *("systemd-networkd-wait-online.service", "systemd-resolved.service", "networking.service"),
    # It only ends an upgrade that runs while the machine is shut down, and the timers that start one are masked.
    "unattended-upgrades.service",
)


def find(name: str) -> Distribution:
    """Return the distribution of that name.

    :raises Refused: there is none; the message lists the names.
    """
    for distribution in DISTRIBUTIONS:
        if distribution.name == name:
            return distribution
    known = ", ".join(distribution.name for distribution in DISTRIBUTIONS)
    raise Refused(f"no stock image is called {name!r}", hint=f"choose among: {known}")
