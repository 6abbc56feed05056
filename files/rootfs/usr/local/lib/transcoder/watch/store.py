"""What the watch remembers over its own restarts: samples for trends, and how far the chain's events were read."""

import json
import os
import sys
import threading
from typing import Any, Dict, List, Optional, Tuple

SPACING = 900.0
"""Seconds between two kept samples."""
KEPT = 672
"""Samples: seven days."""
ENOUGH = 6 * 3600.0
"""Seconds that samples must cover before they say anything of a trend."""
TWO_ROUNDS = 2 * 86400.0
"""The same, for what is spent."""
Series = List[Tuple[float, float]]


class Store:
    """Named series and values, thread safe, in one JSON file (no path: in memory only)."""

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._lock = threading.Lock()
        self._series: Dict[str, Series] = {}
        self._values: Dict[str, Any] = {}
        self._load()

    def sample(self, name: str, now: float, value: float) -> Series:
        """Add a sample, unless the last one is younger than `SPACING`; return the series with this one at its end."""
        with self._lock:
            series = self._series.setdefault(name, [])
            while series and series[-1][0] > now:  # the clock was set back
                series.pop()
            if not series or now - series[-1][0] >= SPACING:
                series.append((now, value))
                del series[:-KEPT]
                return list(series)
            return [*series, (now, value)]

    def value(self, name: str) -> Any:
        """Return a value that was put, or None."""
        with self._lock:
            return self._values.get(name)

    def put(self, name: str, value: Any) -> None:
        """Remember a value that JSON can hold."""
        with self._lock:
            self._values[name] = value

    def save(self) -> None:
        """Write the file, whole or not at all."""
        if not self._path:
            return
        with self._lock:
            text = json.dumps({"series": self._series, "values": self._values})
        temporary = self._path + ".new"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, self._path)

    def _load(self) -> None:
        if not self._path or not os.path.exists(self._path):
            return
        try:
            with open(self._path, encoding="utf-8") as file:
                found = json.load(file)
            self._series = {name: [(float(t), float(v)) for t, v in items] for name, items in found["series"].items()}
            self._values = dict(found["values"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            sys.stderr.write("transcoder-watch: {} is not readable, begun anew: {}\n".format(self._path, error))


def slope(series: Series) -> Optional[float]:
    """Return the change a second by least squares, or None while the samples cover too little time."""
    if len(series) < 3 or series[-1][0] - series[0][0] < ENOUGH:
        return None
    times = [time - series[0][0] for time, _ in series]
    values = [value for _, value in series]
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((time - middle) ** 2 for time in times)
    return sum((t - middle) * (v - mean) for t, v in zip(times, values)) / spread


def spending(series: Series) -> Optional[float]:
    """Return what is spent a second: falls alone count, so that income hides nothing.

    None while the samples cover less than `TWO_ROUNDS`: a node pays once a round, and one payment alone is no rate.
    """
    if len(series) < 3 or series[-1][0] - series[0][0] < TWO_ROUNDS:
        return None
    falls = sum(max(before[1] - after[1], 0.0) for before, after in zip(series, series[1:]))
    return falls / (series[-1][0] - series[0][0])
