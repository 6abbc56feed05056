"""What the nouns of EC2 have in common: the environment, and the calls."""

from __future__ import annotations

from transcoder.aws_calls import Calls
from transcoder.settings import Settings


class Noun:
    """A part of `transcoder.aws.Aws`."""

    def __init__(self, settings: Settings, calls: Calls) -> None:
        self._settings = settings
        self._calls = calls
