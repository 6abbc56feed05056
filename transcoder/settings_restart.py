"""The table ``[restart]`` of an environment: when its nodes restart themselves, if they do, and how patient that is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Restart(BaseModel):
    """Restarts at night. ``nightly``: when the node's own timer does it, HH:MM in UTC; empty for never.

    ``within_minutes``: from then on, at a minute that is thrown anew each night.
    ``wait_reward_seconds``: how long the reward of a round may still be called before livepeer stops, also with
    ``fab restart``: up to 0.4.0 livepeer tries every 30 minutes, from v0.5.19 on it sends a transaction twice and waits
    5 minutes for each. Then the night is skipped.
    ``wait_sessions_seconds``: how long sessions may take to end; then they are cut. What was started within
    ``max_age_hours`` is left alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    nightly: str = Field(default="", pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")
    within_minutes: int = Field(default=60, ge=0, lt=24 * 60)
    wait_reward_seconds: int = Field(default=3600, ge=0)
    wait_sessions_seconds: int = Field(default=600, ge=0)
    max_age_hours: float = Field(default=12, ge=0)
