"""What differs between the versions that the stand-in can be, and since when. All else is the same code.

The versions are those of go-livepeer's releases; what holds from one on holds until the next entry. The project's
catalog (transcoder/catalog) has the sources; it cannot be imported here, for the stand-in is alone in a machine, so a
test compares the two.
"""

from typing import Any, NamedTuple, Sequence, Tuple

Version = Tuple[int, int, int]
FIRST: Version = (0, 2, 4)
FETCHED: Version = (0, 5, 2)
"""The first that reads a passphrase from a file."""
PLAYED = (FIRST, FETCHED)
"""Those that the stand-in is built and tried as."""

_LIBP2P = ((FIRST, True), ((0, 3, 0), False))  # keys.json, the ports -p, -http and -rtmp, and -publicIP
_IPFS = ((FIRST, True), ((0, 5, 0), False))
_JOBS = ((FIRST, True), ((0, 5, 0), False))  # tables of the protocol that Streamflow replaced
_REWARD_SECONDS = ((FIRST, 1800.0), ((0, 5, 0), 5.0))  # then it is tried with every poll of blocks
_OWN_RECORD = ((FIRST, "/transcoderInfo"), ((0, 4, 0), "/orchestratorInfo"))
_OWN_RECORD_KEY = ((FIRST, ""), ((0, 5, 0), "Transcoder"))
_ROUND_IN_BYTES = ((FIRST, False), ((0, 5, 0), True), ((0, 7, 0), False))
_CHAIN_ID = ((FIRST, "/EthNetworkID"), ((0, 5, 0), "/EthChainID"))
_IS_REGISTERED = ((FIRST, "/IsTranscoder"), ((0, 4, 0), "/IsOrchestrator"))
_PASSWORD_FILES = ((FIRST, False), ((0, 5, 2), True))


class Personality(NamedTuple):
    """What a version does in its own way.

    ``reward_seconds`` passes before the first try, too. ``own_record_key`` is empty where the record is the answer.
    ``password_files``: -ethPassword may be the path of a file.
    """

    version: Version
    libp2p: bool
    ipfs: bool
    jobs: bool
    reward_seconds: float
    own_record: str
    own_record_key: str
    round_in_bytes: bool
    chain_id: str
    is_registered: str
    password_files: bool

    @property
    def shown(self) -> str:
        """The version as text."""
        return ".".join(str(part) for part in self.version)

    @property
    def control_port(self) -> int:
        """Where the HTTP API is unless a flag says otherwise."""
        return 8935 if self.libp2p else 7935

    @property
    def stand_in(self) -> str:
        """Say what this is."""
        return f"This is a stand-in for livepeer {self.shown}, made for rehearsals; it is not go-livepeer."


def personality(version: Version) -> Personality:
    """Return what the stand-in is as this version."""
    histories: Tuple[Sequence[Tuple[Version, Any]], ...] = (
        _LIBP2P,
        _IPFS,
        _JOBS,
        _REWARD_SECONDS,
        _OWN_RECORD,
        _OWN_RECORD_KEY,
        _ROUND_IN_BYTES,
        _CHAIN_ID,
        _IS_REGISTERED,
        _PASSWORD_FILES,
    )
    return Personality(version, *(_at(history, version) for history in histories))


def _at(history: Sequence[Tuple[Version, Any]], version: Version) -> Any:
    return [value for since, value in history if since <= version][-1]


def parse(text: str) -> Version:
    """Read a version such as 0.5.2."""
    major, minor, patch = text.split(".")
    return int(major), int(minor), int(patch)
