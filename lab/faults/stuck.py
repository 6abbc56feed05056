"""Which attachments and detachments a fault holds: pure, and safe to ask from several threads."""

from __future__ import annotations

import threading

Place = tuple[str, str, str]
"""Volume id, instance id, device name."""


class Stuck:
    """Catches the next places that match, and holds each of them for as long as it is on.

    A place that was caught is caught for good: the same volume under the same name hangs again, under another name it
    does not, once as many as wanted have been caught. That is EC2's own habit: a device name can be spoilt.

    :param volume: empty for any volume.
    :param device: empty for any name.
    :param count: how many places; 0 for all that match.
    """

    def __init__(self, volume: str = "", device: str = "", count: int = 0) -> None:
        self._volume, self._device, self._count = volume, device, count
        self._caught: set[Place] = set()
        self._lock = threading.Lock()

    def __call__(self, volume_id: str, instance_id: str, device: str) -> bool:
        """Tell whether this one is held."""
        place = (volume_id, instance_id, device)
        with self._lock:
            if place in self._caught:
                return True
            matches = self._volume in ("", volume_id) and self._device in ("", device)
            if matches and (not self._count or len(self._caught) < self._count):
                self._caught.add(place)
                return True
        return False
