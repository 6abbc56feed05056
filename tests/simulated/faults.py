"""What a test may break. Every fault is a field with an inverse: set it back, and the world heals."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from transcoder.errors import TranscoderError, Unreachable


def busy() -> TranscoderError:
    """Return what is left of a throttled call when all retries are used up."""
    return Unreachable("EC2 is busy (RequestLimitExceeded): Request limit exceeded.", hint="run the same command again")


def no_answer() -> TranscoderError:
    """Return what a call ends with when its answer is lost on the way."""
    return Unreachable("no answer from EC2: Read timeout", hint="run the same command again")


@dataclass(frozen=True)
class Error:
    """The ``nth`` call of ``action`` (0 is the first; empty: of any) fails, before or after it took effect."""

    action: str
    nth: int
    after: bool = False
    error: Callable[[], TranscoderError] = no_answer


@dataclass
class CloudFaults:
    """What may be wrong with EC2."""

    throttled_from: int | None = None
    """From this call on (0 is the next) every call is throttled, whatever it is."""
    errors: list[Error] = field(default_factory=list)
    lag: float = 0.0
    """Seconds by which reads are late."""
    flapping: Iterable[bool] = (True,)
    """Which reads are late, in turn, over and over."""
    stuck_devices: set[str] = field(default_factory=set)
    """Attachments under these names stay ``attaching``, until they are detached."""
    stuck_detaching: set[str] = field(default_factory=set)
    """Volumes that do not leave ``detaching`` unless by force."""
    hanging: set[str] = field(default_factory=set)
    """Instances that stay ``stopping`` unless by force."""
    _counts: Counter[str] = field(default_factory=Counter)
    _all: int = 0
    _turns: Iterator[bool] | None = None

    def check(self, action: str) -> None:
        """Count a call; raise when it is to fail before it does anything."""
        number, self._all = self._all, self._all + 1
        if self.throttled_from is not None and number >= self.throttled_from:
            raise busy()
        self._counts[action] += 1
        self._counts[""] += 1
        self._raise(action, after=False)

    def check_answer(self, action: str) -> None:
        """Raise when the answer of a call that took effect is to be lost."""
        self._raise(action, after=True)

    def _raise(self, action: str, *, after: bool) -> None:
        for error in self.errors:
            if error.action in (action, "") and error.after == after and self._counts[error.action] == error.nth + 1:
                raise error.error()

    def this_read_lags(self) -> bool:
        """Tell whether the read that is going on is late."""
        if not self.lag:
            return False
        if self._turns is None:
            self._turns = itertools.cycle(tuple(self.flapping) or (True,))
        return next(self._turns)

    def count_from_here(self) -> None:
        """Forget the calls so far: ``nth`` and ``throttled_from`` count from now on."""
        self._counts.clear()
        self._all = 0

    def heal(self) -> None:
        """Set everything right again."""
        self.throttled_from, self.lag, self.flapping, self._turns = None, 0.0, (True,), None
        for table in (self.errors, self.stuck_devices, self.stuck_detaching, self.hanging):
            table.clear()


@dataclass
class Faults:
    """What may be wrong with a machine."""

    unreachable: bool = False
    """A partition: nobody reaches it, and it goes on writing."""
    powered_off: bool = False
    """No power, and EC2 goes on saying ``running``. Set back, it boots."""
    without_our_units: bool = False
    geth_finds_no_peers: bool = False
    geth_tells_no_block_alone: bool = False
    """A light geth without peers answers with an error when it is asked for the newest block (1.8.27)."""
    geth_stalls_at: float = 0.0
    """Seconds of simulated time at which geth stopped to follow the chain, in silence; a start of it cures that."""
    sessions: int = 0
    """Streams that livepeer serves."""
    rpc_is_away: bool = False
    """The hosted RPC of a node without a geth does not answer."""
    reward_fails: str = ""
    """What livepeer says instead of sending the reward; in its log alone up to v0.5.29."""
    reward_routes_off: bool = False
    """livepeer serves no route that makes a transaction."""
    chain_behind: float = 0.0
    """Seconds by which geth's head is too old."""
    chain_ahead: float = 0.0
    """Seconds by which all times of the chain are ahead of the operator's clock."""
    livepeer_talks_nonsense: bool = False
    """livepeer answers questions of the round with what is no answer, until it is started anew."""
    runs_as: str = ""
    """livepeer takes this account instead of the volume's."""
    without_serials: bool = False
    """No device has a serial, whatever the machine."""
    swapped_names: bool = False
    """A Xen kernel names the disks in another order than EC2."""
    clock_offset: float = 0.0
    """Seconds by which the machine's clock is ahead."""
    unsynchronised: bool = False
    """chronyd follows nobody."""
    full: set[str] = field(default_factory=set)
    """Mount points of disks on which no write succeeds."""
    errors: dict[str, int] = field(default_factory=dict)
    """By mount point: how many errors its file system has met."""
    read_only: set[str] = field(default_factory=set)
    """Mount points that the kernel has made read-only, and says so."""
    in_use: dict[str, int] = field(default_factory=dict)
    """By mount point: how many attempts to unmount it fail, because somebody is looking into it."""
    lacks: set[str] = field(default_factory=set)
    """Programs that its image does not have."""
    geth_stop_takes: float = 0.0
    """Seconds of simulated time that geth takes to stop."""
