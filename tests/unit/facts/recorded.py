"""Access to the recordings: what a tool printed, one file a case, beside the tests of its parser."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def recorded(tool: str, name: str) -> str:
    """Return the text of ``<tool>/<name>``."""
    return (HERE / tool / name).read_text(encoding="utf-8")
