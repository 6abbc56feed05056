"""``chronyc -c tracking``: whether the clock is right. Recorded with chrony 3.2 and 4.3.

geth finds no peers when the clock is off by more than some 20 seconds, and livepeer's rounds are counted by blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from transcoder.facts.reading import unreadable, whole_number

TOOL = "chronyc"
COMMAND = ("chronyc", "-c", "tracking")
FIELDS = 14
UNSYNCHRONISED = "Not synchronised"
LOCAL_CLOCK = "7F7F0101"
"""The reference id 127.127.1.1: chronyd serves the machine's own clock and follows nobody."""


@dataclass(frozen=True)
class Tracking:
    """What chronyd follows and how well. All times in seconds; ``offset`` is what it still has to correct."""

    reference: str
    source: str
    stratum: int
    offset: float
    root_delay: float
    root_dispersion: float
    leap: str

    @property
    def synchronised(self) -> bool:
        """Tell whether the clock follows another one."""
        return self.leap != UNSYNCHRONISED and self.reference != LOCAL_CLOCK and self.stratum > 0

    @property
    def worst_error(self) -> float:
        """Return the bound on the clock's error: |offset| + dispersion + delay / 2 (chronyc(1), tracking)."""
        return abs(self.offset) + self.root_dispersion + self.root_delay / 2


def parse_chronyc(text: str, *, exit_code: int = 0) -> Tracking:
    """Return the state of the clock.

    :raises Failed: when chronyd does not run (``506 Cannot talk to daemon``), or the line has another form.
    """
    line = text.strip()
    if exit_code != 0:
        raise unreadable(TOOL, f"exit code {exit_code}; does chronyd run?", line)
    fields = line.split(",")
    if len(fields) != FIELDS:
        raise unreadable(TOOL, f"expected {FIELDS} fields, found {len(fields)}", line)
    return Tracking(
        reference=fields[0],
        source=fields[1],
        stratum=whole_number(TOOL, "the stratum", fields[2]),
        offset=_seconds(fields[4], line),
        root_delay=_seconds(fields[10], line),
        root_dispersion=_seconds(fields[11], line),
        leap=fields[13],
    )


def _seconds(field: str, line: str) -> float:
    try:
        return float(field)
    except ValueError as error:
        raise unreadable(TOOL, f"expected seconds, found {field!r}", line) from error
