"""What a turn is given, and how it ends early."""

from typing import Any, Callable, List, NamedTuple

from watch.model import Node

REFUSED, FAILED = 3, 4
"""Exit codes, as those of the operator's commands: what is named was not touched; a step failed."""
POLL = 5.0
"""Seconds between two looks of a wait."""


class Halt(Exception):
    """The turn ends here. ``code`` is the exit code, ``hint`` what to type."""

    def __init__(self, code: int, message: str, hint: str) -> None:
        super().__init__("{}; to type: {}".format(message, hint))
        self.code = code


class Night(NamedTuple):
    """What a turn may touch beside what the watch looks at: a clock that can be waited by, and the services.

    ``control`` takes a command and the seconds that it may take; it raises `watch.model.NoAnswer` as ``node.run`` does.
    """

    node: Node
    steady: Callable[[], float]
    sleep: Callable[[float], None]
    control: Callable[[List[str], float], str]
    say: Callable[[str], None]

    @property
    def own(self) -> Any:
        """The configuration that nobody but this program needs."""
        return self.node.config["nightly"]

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Look until it is done, at least once; return whether it is within so many seconds."""
        ends = self.steady() + seconds
        while not done():
            left = ends - self.steady()
            if left <= 0:
                return False
            self.sleep(min(POLL, left))
        return True
