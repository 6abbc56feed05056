"""livepeer, by version: its role, its ports, where its data are, how it is stopped, where it comes from.

Tags have no ``v`` up to 0.4.0 (0.3.3 excepted) and have one from v0.5.0.
"""

from __future__ import annotations

from dataclasses import dataclass

from transcoder.catalog.history import Entry, History, Span, Version, at, shown
from transcoder.catalog.systems import Glibc

OLDEST, NEWEST = (0, 2, 4), (0, 9, 1)
"""2018-06-20 to 2026-08-12: the releases that the entries below were compared over."""
STARTER = "cmd/livepeer/livepeer.go, cmd/livepeer/starter/starter.go at each tag"


def tag(version: Version) -> str:
    """Return the name of a release as the project writes it."""
    return shown(version) if version < (0, 5, 0) and version != (0, 3, 3) else f"v{shown(version)}"


ROLE_FLAGS: History[tuple[str, ...]] = (
    Entry((0, 2, 4), ("-transcoder",), "0.2.4:cmd/livepeer/livepeer.go: the transcoder of the protocol"),
    Entry((0, 3, 2), ("-transcoder",), "0.4.0:cmd/livepeer/livepeer.go: orchestrator and transcoder in one"),
    Entry((0, 5, 0), ("-orchestrator", "-transcoder"), "v0.5.0: -transcoder alone works for an orchestrator elsewhere"),
)
"""What makes a node one that is registered on the chain and transcodes itself."""


@dataclass(frozen=True)
class Layout:
    """Where livepeer looks for its keys below ``<datadir>``, and what its database is called."""

    keystore: str
    database: str


LAYOUTS: History[Layout] = (
    Entry((0, 2, 4), Layout("<datadir>/keystore", "lp.sqlite3"), "0.2.4:cmd/livepeer/livepeer.go, common/db.go"),
    Entry((0, 3, 2), Layout("<datadir>/<network>/keystore", "lp.sqlite3"), "0.3.2: appends the network to -datadir"),
    Entry((0, 5, 0), Layout("<datadir>/keystore", "lp.sqlite3"), "v0.5.0:cmd/livepeer/livepeer.go"),
    Entry((0, 5, 3), Layout("<datadir>/keystore", "lpdb.sqlite3"), "v0.5.3:cmd/livepeer/livepeer.go"),
)


@dataclass(frozen=True)
class Ports:
    """``control``: the HTTP API, on loopback, set by ``flag`` to ``value``. ``work``: what others must reach (TCP)."""

    control: int
    flag: str
    value: str
    work: int


PORTS: History[Ports] = (
    Entry((0, 2, 4), Ports(8935, "-httpIP", "127.0.0.1", 15000), "0.2.4: one port for API and media; libp2p on -p"),
    Entry((0, 3, 0), Ports(7935, "-cliAddr", "127.0.0.1:7935", 8935), "0.3.0: -cliAddr; 8935 is TLS, for others"),
    # From v0.7.0 the default depends on the role, and some roles get :80 on every address: it is always given.
)


@dataclass(frozen=True)
class Announcement:
    """The flag that tells others where the node is, and the port that goes with the address (0: none)."""

    flag: str
    port: int


ANNOUNCEMENTS: History[Announcement] = (
    Entry((0, 2, 4), Announcement("-publicIP", 0), "0.2.4: required for a transcoder"),
    Entry((0, 3, 0), Announcement("-serviceAddr", 8935), "0.3.0: host:port; -publicIP is unknown and ends it with 2"),
)


@dataclass(frozen=True)
class Stop:
    """How livepeer is ended: the signal, the seconds until it is killed, and why, for whoever reads the unit."""

    signal: str
    budget_seconds: int
    why: str


STOPS: History[Stop] = (
    Entry((0, 2, 4), Stop("SIGINT", 30, "livepeer 0.2 ends in order at SIGINT; SIGTERM is its death."), STARTER),
    Entry((0, 3, 0), Stop("SIGINT", 30, "livepeer before v0.8.9 ends in order at SIGINT; SIGTERM kills it."), STARTER),
    Entry((0, 8, 9), Stop("SIGINT", 30, "SIGINT and SIGTERM alike: it takes up to 10 s."), "v0.8.9:starter.go"),
)


@dataclass(frozen=True)
class Network:
    """A network of livepeer: the versions that know it, and what a local geth would have to follow for it.

    ``layer`` 1: Ethereum itself, so a geth of this machine can serve it; 2: Arbitrum, which geth is not; 0: no chain.
    ``chain_id`` is that of the chain that a local geth follows. ``gone`` says why nothing can be earned there.
    """

    name: str
    span: Span
    layer: int
    chain_id: int
    gone: str = ""


LIP_73 = (0, 5, 28)
"""2022-02-11: the first release that knows Arbitrum One. From L1 block 14207040 on (LIP-73) the protocol is there."""
NETWORKS = {
    network.name: network
    for network in (
        Network(
            "mainnet",
            Span(OLDEST),
            1,
            1,
            "since LIP-73 (2022, L1 block 14207040) initializeRound reverts on Ethereum (livepeer/protocol #514): no "
            "transcoder can earn there; the protocol is on Arbitrum One (livepeer v0.5.28 or later)",
        ),
        Network("rinkeby", Span(OLDEST), 1, 4, "geth 1.12.1 gave Rinkeby up"),
        Network("arbitrum-one-rinkeby", Span((0, 5, 26)), 2, 1, "it settled on Rinkeby, which geth 1.12.1 gave up"),
        Network("arbitrum-one-mainnet", Span(LIP_73), 2, 1),
        Network("devenv", Span(OLDEST), 1, 0),
        Network("offchain", Span(OLDEST), 0, 1),
    )
}


def network_flags(version: Version, network: str) -> tuple[str, ...]:
    """Return the flags that choose a network; up to 0.4.0 no flag is mainnet, from v0.5.0 it is off-chain."""
    if version >= (0, 5, 0):
        return ("-network", network)
    return () if network == "mainnet" else (f"-{network}",)


@dataclass(frozen=True)
class Build:
    """What a release's archive for Linux on amd64 is called, and the C library it needs (None: not known)."""

    file: str
    glibc: Glibc | None


BUILDS: History[Build] = (
    Entry((0, 2, 4), Build("livepeer_linux.tar.gz", None), "built by hand: its C library is not known"),
    Entry((0, 3, 0), Build("", None), "0.3.0 to 0.4.0: what the archive is called is not known"),
    Entry((0, 5, 0), Build("livepeer-linux-amd64.tar.gz", (2, 23)), "v0.5.0:upload_build.sh on Ubuntu 16.04"),
    Entry((0, 5, 18), Build("livepeer-linux-amd64.tar.gz", (2, 27)), "v0.5.18: built on Ubuntu 18.04"),
    Entry((0, 7, 0), Build("livepeer-linux-amd64.tar.gz", (2, 31)), "v0.7.0:build.yaml on Ubuntu 20.04 (inference)"),
    Entry((0, 8, 9), Build("livepeer-linux-amd64.tar.gz", (2, 35)), "v0.8.9:build.yaml on Ubuntu 22.04 (inference)"),
)
GPU_ARCHIVE = "livepeer-linux-gpu-amd64.tar.gz"
GPU_BUILDS: History[Build] = (
    Entry((0, 5, 0), Build("livepeer-linux-amd64.tar.gz", (2, 23)), "one archive for both"),
    Entry((0, 5, 18), Build("livepeer-linux-amd64.tar.gz", (2, 27)), "one archive for both"),
    Entry((0, 7, 0), Build(GPU_ARCHIVE, (2, 31)), "v0.7.0:build.yaml, CUDA on Ubuntu 20.04"),
)
RELEASES = "https://github.com/livepeer/go-livepeer/releases/download"
CHECKSUMS_SINCE = (0, 5, 30)
"""``<tag>_checksums.txt`` as sha256sum prints it, and a PGP signature a file; older releases have neither."""


def build(version: Version, *, gpu: bool = False) -> Build:
    """Return what the release of a version is.

    :raises LookupError: for a GPU with a version that had none.
    """
    return at(GPU_BUILDS if gpu else BUILDS, version)


def download(version: Version, *, gpu: bool = False) -> str:
    """Return the address of a release's archive; empty when its name is not known."""
    file = build(version, gpu=gpu).file
    return f"{RELEASES}/{tag(version)}/{file}" if file else ""


def checksums(version: Version) -> str:
    """Return the address of a release's checksums; empty for the releases that have none."""
    return f"{RELEASES}/{tag(version)}/{tag(version)}_checksums.txt" if version >= CHECKSUMS_SINCE else ""


PASSWORD_FILES_SINCE = (0, 5, 2)
"""#1268: -ethPassword and -orchSecret may be a path. A file the service cannot read is itself taken as the password."""
CONFIG_SINCE = (0, 5, 26)
"""-config: a line ``key value`` an option. v0.5.23 to v0.5.25 have it and ignore an error in it."""
ETH_URL_REQUIRED_SINCE = (0, 5, 6)
PRICE_REQUIRED_SINCE = (0, 5, 11)
PRICE_IN_CURRENCY_SINCE = (0, 7, 3)
GAS_PRICE_GONE = (0, 5, 17)
IPFS_GONE = (0, 5, 0)
DATA_DIR_SINCE = (0, 5, 32)
ALL_GPUS_SINCE = (0, 5, 18)

REWARD_TRIGGERS: History[str] = (
    Entry((0, 2, 4), "every 30 min, the first time 30 min after its start", "0.2.4:eth/eventservices/rewardservice.go"),
    Entry((0, 5, 0), "every 5 s", "v0.5.0: -blockPollingInterval"),
    Entry((0, 5, 13), "once a round, at its begin", "v0.5.13; #1741, #2118: not tried again in that round"),
)
"""When livepeer calls reward(). A restart in the middle of a round decides what that means."""
