"""What probes yield, and what they are given."""

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Union

OK, UNKNOWN, WARN, ALARM = 0, 1, 2, 3
"""The levels, the better one first."""
NAMES = ("ok", "unknown", "warn", "alarm")
DAY = 86400.0


class Reading(NamedTuple):
    """What one look says of a check. ``subject``: of which thing (a volume, a unit), empty where there is one only."""

    check: str
    subject: str
    level: int
    value: Optional[float]
    message: str


class Gauge(NamedTuple):
    """A number for Prometheus; its name gets the prefix ``transcoder_``."""

    name: str
    labels: Dict[str, str]
    value: float


Item = Union[Reading, Gauge]


class NoAnswer(Exception):
    """A source does not answer, or not in a form that is known; the message says what was asked and what came."""


class Denied(NoAnswer):
    """A source answers, and says no: it may answer when it is asked for less."""


class Node(NamedTuple):
    """What a probe may touch: configuration, files below ``root``, the clock (Unix seconds), memory, other programs.

    ``run`` takes a command and returns what it prints, or raises `NoAnswer`.
    """

    config: Dict[str, Any]
    root: str
    now: Callable[[], float]
    store: Any
    run: Callable[[List[str]], str]

    def limit(self, name: str) -> float:
        """Return a threshold of the environment."""
        return float(self.config["thresholds"][name])

    def read(self, path: str) -> str:
        """Return a file's text.

        Raises NoAnswer when it cannot be read.
        """
        try:
            with open(self.root + path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError as error:
            raise NoAnswer("{} cannot be read: {}".format(path, error.strerror)) from None


Probe = Callable[[Node], Iterator[Item]]


def above(value: float, warn: float, alarm: float) -> int:
    """Return the level of a value of which more is worse."""
    return ALARM if value >= alarm else WARN if value >= warn else OK


def below(value: float, warn: float, alarm: float) -> int:
    """Return the level of a value of which less is worse."""
    return ALARM if value <= alarm else WARN if value <= warn else OK


def span(seconds: float) -> str:
    """Return a duration for people: its two biggest units."""
    seconds = max(int(seconds), 0)
    parts: List[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count or (unit == "s" and not parts):
            parts.append("{} {}".format(count, unit))
    return " ".join(parts[:2])
