"""geth, by version: how it follows a chain, the flags it needs beside its file, how it is stopped, where it is from."""

from __future__ import annotations

from dataclasses import dataclass

from transcoder.catalog.history import Entry, History, Span, Version, at, shown
from transcoder.catalog.systems import Glibc

SYNC_MODES: History[tuple[str, ...]] = (
    Entry((1, 8, 13), ("light", "fast", "full"), "1.8.27:eth/downloader/modes.go; `snap` is fatal"),
    Entry((1, 10, 0), ("light", "fast", "full", "snap"), "1.10.0:eth/downloader/modes.go"),
    Entry((1, 10, 14), ("light", "full", "snap"), "1.10.14: `fast` is gone"),
    Entry((1, 13, 6), ("full", "snap"), "1.13.6 (bdf5e388ca): the light client's code is gone; #28240, #29367"),
)
MERGE = (1, 10, 22)
"""The first tag whose mainnet changes to proof of stake: from there on a consensus client tells geth the head."""
AUTH_SINCE = (1, 10, 17)
"""The consensus client's port (127.0.0.1:8551) and its secret, ``<datadir>/geth/jwtsecret``, which geth makes."""
CONTROL_PORTS = (8545, 8546, 8551)
"""HTTP, WebSocket and the consensus client's: on loopback (`geth_config`), and kept there by the image's firewall."""
FORKS: History[str] = (
    Entry((1, 8, 13), "mainnet up to block 9069000 (2019), where Istanbul begins", "params/config.go (inference)"),
    Entry((1, 9, 0), "mainnet up to block 15537393 (2022) at most, where mining ended", "params/config.go (inference)"),
    Entry(MERGE, "mainnet up to a later fork of it, with a consensus client", "params/config.go"),
    Entry((1, 16, 6), "mainnet, with a consensus client", "1.16.6:params/config.go: Osaka and what came with it"),
)
"""How far a full node of this version can follow mainnet; no version's light client can, for no server is left."""
RINKEBY_GONE = (1, 12, 1)


@dataclass(frozen=True)
class Flag:
    """A flag of geth with its dashes, in the versions of ``span``."""

    name: str
    span: Span


FLAGS = (
    Flag("--config", Span((1, 8, 13))),
    Flag("--cache", Span((1, 8, 13))),
    Flag("--metrics", Span((1, 8, 13))),
    Flag("--rinkeby", Span((1, 8, 13), RINKEBY_GONE)),
    Flag("--discovery.v5", Span((1, 12, 1))),
)
"""Those that this project can have a use for (cmd/utils/flags.go). An unknown one ends geth with exit status 1."""
CACHE_NEEDS_FLAG = Span((1, 9, 0), (1, 17, 2))
"""Where the file's cache sizes are ignored on mainnet unless --cache is given too (1.9.7: run; #24832, #33836)."""
DISCOVERY_NEEDS_FLAG = Span((1, 12, 1), (1, 17, 0))
"""Where the file's DiscoveryV5 is overwritten by the flag's value (cmd/utils/flags.go)."""


def arguments(version: Version, *, sync_mode: str, cache_mib: int, network: str) -> tuple[str, ...]:
    """Return what geth needs on its command line beside its configuration file."""
    return (
        *(("--cache", str(cache_mib)) if version in CACHE_NEEDS_FLAG else ()),
        *(("--discovery.v5",) if sync_mode == "light" and version in DISCOVERY_NEEDS_FLAG else ()),
        *(("--rinkeby",) if network == "rinkeby" else ()),
    )


def stop_budget_seconds(sync_mode: str) -> int:
    """Return how long an orderly end may take: all but a light node flush state that a kill would lose.

    Maintainers speak of "at least 3 minutes" (#24416), guides for validators of 300 to 600 s; killed after 90 s a node
    lost 10 days (#26131). A light node of 1.8.27 took 0.2 s (run).
    """
    return 180 if sync_mode == "light" else 600


GLIBCS: History[Glibc | None] = (
    Entry((1, 8, 13), (2, 17), "up to 1.14.5"),
    Entry((1, 14, 6), (2, 34), "#30115"),
    Entry((1, 14, 9), (2, 31), "built on Ubuntu 20.04 (inference)"),
    Entry((1, 16, 0), (2, 38), "#32102, #32109"),
    Entry((1, 16, 1), None, "linked statically: .gitea/workflows/release.yml"),
)
"""The C library that the project's own archive needs."""
ARCHIVES = "https://gethstore.blob.core.windows.net/builds"
COMMITS = {
    (1, 8, 18): "58632d44",
    (1, 8, 22): "7fa3509e",
    (1, 8, 23): "c9427004",
    (1, 8, 27): "4bcc0a37",
    (1, 9, 25): "e7872729",
    (1, 10, 26): "e5eb32ac",
    (1, 13, 5): "916d6a44",
    (1, 13, 14): "2bd6bd01",
    (1, 13, 15): "c5ba367e",
    (1, 14, 5): "0dd173a7",
    (1, 16, 9): "95665d57",
    (1, 17, 5): "9621c6ad",
}
"""First eight digits of a tag's commit, which are a part of its archive's name; other versions are to be looked up."""
SIGNED_BY = "FDE5A1A044FA13D2F7ADA019A61A13569BA28146"
"""PGP key of the builder for Linux (geth.ethereum.org/downloads): ``<archive>.asc``. No sha256 is published."""
PPA_SIGNED_BY = "2A518C819BE37D2C2031944D1C52189C923F6CA9"
"""PGP key "Launchpad PPA for Ethereum" (launchpad.net/~ethereum/+archive/ubuntu/ethereum)."""
PPA_CODENAMES = {"ubuntu-18.04": "bionic", "ubuntu-22.04": "jammy", "ubuntu-24.04": "noble"}
"""What the package archive is built for, on Launchpad and so with each system's own C library (1.17.5:build/ci.go)."""


def download(version: Version) -> str:
    """Return the address of a release's archive; empty when its name is not known."""
    commit = COMMITS.get(version, "")
    return f"{ARCHIVES}/geth-linux-amd64-{shown(version)}-{commit}.tar.gz" if commit else ""


def signature(version: Version) -> str:
    """Return the address of the detached PGP signature of a release's archive; empty when its name is not known."""
    archive = download(version)
    return f"{archive}.asc" if archive else ""


def sync_modes(version: Version) -> tuple[str, ...]:
    """Return the sync modes that a version starts with."""
    return at(SYNC_MODES, version)
