"""The environment of the fault checks: the shipped lab with a name of its own, and a watch in lab time."""

from __future__ import annotations

from pathlib import Path

from lab.matrix.environment import OwnLab, write_environment
from transcoder.checks import CHECKS

OWN = OwnLab("checks", "172.31.218", 5618)
QUICK = 15
"""Seconds that a check must be bad in lab time, where it is less than a trend of hours and more than nothing."""
TRENDS = ("filling", "gas-days")
INTERVAL, CLEAR, HEAD_AGE = 5, 10, 20
"""Seconds: from look to look, until green again, and how old geth's head may be (blocks come every 2 s)."""
ROUND_BLOCKS = 90
"""Three minutes, so that the node's rounds come and go while it is looked at."""


def write_lab_time(directory: Path, lab: OwnLab) -> Path:
    """Write the environment in lab time; return its path."""
    path = write_environment(directory, lab)
    text = path.read_text(encoding="utf-8")
    shipped = "head_age_seconds = 30\n"
    if shipped not in text:
        raise ValueError(f"{path}: the shipped lab environment does not have {shipped!r} any more")
    rounds = f'GETH_STANDIN_ROUND_LENGTH = "{ROUND_BLOCKS}", GETH_STANDIN_ROUND_INIT_BLOCKS = "2"'
    text = text.replace(shipped, f"head_age_seconds = {HEAD_AGE}\nenvironment = {{ {rounds} }}\n")
    path.write_text(f"{text}\n{watch_table()}", encoding="utf-8")
    return path


def watch_table() -> str:
    """Return ``[watch]`` in lab time."""
    after = {check.name: QUICK for check in CHECKS if check.name not in TRENDS and max(check.warn, check.alarm)}
    shown = ", ".join(f'"{name}" = {seconds}' for name, seconds in after.items())
    return (
        "[watch]\n"
        f"interval_seconds = {INTERVAL}\n"
        "answer_seconds = 12\n"
        f"slow_interval_seconds = {2 * INTERVAL}\n"
        f"clear_seconds = {CLEAR}\n"
        f"after_seconds = {{ {shown} }}\n"
    )
