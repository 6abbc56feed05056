"""Which of the policies in ``templates/iam`` grant an action: what to say to who lacks it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent.parent / "templates" / "iam"
KINDS = ("operator", "bake", "instance")


@cache
def granting(action: str) -> tuple[str, ...]:
    """Return the kinds of policies whose templates allow an action, such as ``ec2:AttachVolume``."""
    return tuple(kind for kind in KINDS if action in _granted(kind))


@cache
def _granted(kind: str) -> frozenset[str]:
    document = json.loads((DIRECTORY / f"{kind}.json").read_text(encoding="utf-8"))
    allowed = [each["Action"] for each in document["Statement"] if each["Effect"] == "Allow"]
    return frozenset(action for actions in allowed for action in ([actions] if isinstance(actions, str) else actions))
