"""The operating systems that images are made of, as far as programs depend on them."""

from __future__ import annotations

from dataclasses import dataclass

Glibc = tuple[int, int]


@dataclass(frozen=True)
class System:
    """A distribution's release: the C library that programs are linked to, and the systemd that reads the units."""

    name: str
    glibc: Glibc
    systemd: int
    source: str


SYSTEMS = {
    "ubuntu-18.04": System("ubuntu-18.04", (2, 27), 237, "run: packages of bionic"),
    "ubuntu-22.04": System("ubuntu-22.04", (2, 35), 249, "packages of jammy"),
    "ubuntu-24.04": System("ubuntu-24.04", (2, 39), 255, "packages of noble"),
    "debian-12": System("debian-12", (2, 36), 252, "run: packages of bookworm"),
}


def runs(glibc: Glibc | None) -> tuple[str, ...]:
    """Return the systems whose C library is new enough; None: linked statically, or not known, so it may be any."""
    return tuple(name for name, system in SYSTEMS.items() if glibc is None or system.glibc >= glibc)
