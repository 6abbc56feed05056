"""From single readings to a state that does not flap: red only after its time, and green again likewise."""

from typing import NamedTuple, Optional

from .model import ALARM, OK, UNKNOWN, WARN


class Patience(NamedTuple):
    """How many seconds a reading must last: as warn, alarm or unknown, and a better one."""

    warn: float
    alarm: float
    unknown: float
    clear: float


class Track(NamedTuple):
    """What is shown, ``since`` when (by any clock that only goes forward), and since when readings say otherwise.

    ``warned`` and ``alarmed``: since when every known reading was at least that bad; ``missing``: since when there is
    none; ``better``: since when every known reading was better than what is shown.
    """

    shown: int
    since: float
    warned: Optional[float] = None
    alarmed: Optional[float] = None
    missing: Optional[float] = None
    better: Optional[float] = None


def begin(now: float) -> Track:
    """Return the track of a check that nothing is known of yet."""
    return Track(UNKNOWN, now)


def advance(track: Track, level: int, now: float, patience: Patience) -> Track:
    """Return the track after one more reading.

    A missing reading (`UNKNOWN`) proves nothing: it neither lets a state rise or fall, nor ends a count.
    """
    if level == UNKNOWN:
        missing = _begun(track.missing, now)
        lost = track.shown == OK and now - missing >= patience.unknown
        return _show(track._replace(missing=missing), UNKNOWN if lost else track.shown, now)
    counted = track._replace(
        missing=None,
        warned=_begun(track.warned, now) if level >= WARN else None,
        alarmed=_begun(track.alarmed, now) if level >= ALARM else None,
    )
    risen = _risen(counted, level, now, patience)
    if risen > counted.shown or (counted.shown == UNKNOWN and level == OK):
        return _show(counted, risen, now)
    return _fallen(counted, level, now, patience)


def _begun(since: Optional[float], now: float) -> float:
    return now if since is None else since


def _risen(track: Track, level: int, now: float, patience: Patience) -> int:
    """Return the worst level that readings have kept for as long as it takes."""
    if track.alarmed is not None and level >= ALARM and now - track.alarmed >= patience.alarm:
        return ALARM
    if track.warned is not None and level >= WARN and now - track.warned >= patience.warn:
        return WARN
    return OK


def _fallen(track: Track, level: int, now: float, patience: Patience) -> Track:
    if track.shown == UNKNOWN or level >= track.shown:
        return track._replace(better=None)
    better = _begun(track.better, now)
    if now - better < patience.clear:
        return track._replace(better=better)
    return _show(track, level, now)


def _show(track: Track, level: int, now: float) -> Track:
    return track if level == track.shown else track._replace(shown=level, since=now, better=None)
