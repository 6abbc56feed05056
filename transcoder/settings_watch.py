"""The table ``[watch]`` of an environment: from when on the node's own watch says that something is wrong."""

from __future__ import annotations

import ipaddress
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from transcoder.checks import BY_NAME, CLEAR_SECONDS, RUNBOOKS

FALLING = ("space_{}_percent", "full_{}_days", "certificate_{}_days", "balance_{}_eth", "gas_{}_days")
"""Pairs of thresholds where less is worse."""
RISING = (
    *("open_files_{}_percent", "clock_{}_seconds", "reward_{}_share", "round_{}_share"),
    *("ticket_{}_hours", "reboot_{}_days", "image_{}_days"),
)
"""Pairs of thresholds where more is worse."""


class Watch(BaseModel):
    """The watch of a node. Every pair of thresholds is for warn and for alarm.

    ``rpc_url``: an RPC address for its own look at the chain, where no geth of the machine serves it and `livepeer`
    has it in its private options. It is baked, so it must be no secret.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = "127.0.0.1"
    port: int = Field(default=9847, ge=1, le=65535)
    interval_seconds: int = Field(default=15, ge=1, le=60)
    answer_seconds: int = Field(default=20, ge=1, le=60)
    rpc_url: str = ""
    rpc_interval_seconds: int = Field(default=120, ge=1)
    slow_interval_seconds: int = Field(default=60, ge=1)
    log_blocks: int = Field(default=5000, ge=1)
    runbooks: str = RUNBOOKS
    after_seconds: dict[str, int] = Field(default_factory=dict)
    clear_seconds: int = Field(default=CLEAR_SECONDS, ge=0)
    min_peers: int = Field(default=0, ge=0, description="0: 1 for a light client, else 3")
    restarts_warn: int = Field(default=3, ge=1)
    sessions_warn_percent: float = Field(default=95, gt=0)
    space_warn_percent: float = Field(default=15, ge=0, le=100)
    space_alarm_percent: float = Field(default=5, ge=0, le=100)
    full_warn_days: float = Field(default=14, ge=0)
    full_alarm_days: float = Field(default=3, ge=0)
    open_files_warn_percent: float = Field(default=70, ge=0)
    open_files_alarm_percent: float = Field(default=90, ge=0)
    clock_warn_seconds: float = Field(default=1, gt=0)
    clock_alarm_seconds: float = Field(default=10, gt=0)
    reward_warn_share: float = Field(default=0.25, ge=0, le=1)
    reward_alarm_share: float = Field(default=0.5, ge=0, le=1)
    round_warn_share: float = Field(default=0.1, ge=0, le=1)
    round_alarm_share: float = Field(default=0.25, ge=0, le=1)
    event_hours: float = Field(default=24, gt=0)
    balance_warn_eth: float = Field(default=0.02, ge=0)
    balance_alarm_eth: float = Field(default=0.005, ge=0)
    gas_warn_days: float = Field(default=30, ge=0)
    gas_alarm_days: float = Field(default=7, ge=0)
    ticket_warn_hours: float = Field(default=12, gt=0)
    ticket_alarm_hours: float = Field(default=30, gt=0)
    certificate_warn_days: float = Field(default=30, ge=0)
    certificate_alarm_days: float = Field(default=7, ge=0)
    reboot_warn_days: float = Field(default=1, ge=0)
    reboot_alarm_days: float = Field(default=14, ge=0)
    image_warn_days: float = Field(default=90, ge=0)
    image_alarm_days: float = Field(default=365, ge=0)

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        return str(ipaddress.ip_address(address))

    @field_validator("rpc_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if url and urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"{url!r} is not an http(s) address")
        return url

    @field_validator("after_seconds")
    @classmethod
    def _names_checks(cls, after: dict[str, int]) -> dict[str, int]:
        unknown = sorted(set(after) - set(BY_NAME))
        if unknown:
            raise ValueError(f"no such check: {', '.join(unknown)}; there are {', '.join(sorted(BY_NAME))}")
        if any(seconds < 0 for seconds in after.values()):
            raise ValueError("seconds are 0 or more")
        return after

    @model_validator(mode="after")
    def _alarm_is_worse_than_warn(self) -> Self:
        for pair, sign in [(name, -1) for name in FALLING] + [(name, 1) for name in RISING]:
            warn, alarm = getattr(self, pair.format("warn")), getattr(self, pair.format("alarm"))
            if sign * alarm < sign * warn:
                raise ValueError(
                    f"{pair.format('alarm')} = {alarm:g} comes before {pair.format('warn')} = {warn:g}: "
                    f"alarm must be the {'higher' if sign > 0 else 'lower'} one"
                )
        return self

    @property
    def thresholds(self) -> dict[str, float]:
        """Return every threshold by its name."""
        pairs = [pair.format(level) for pair in FALLING + RISING for level in ("warn", "alarm")]
        single = ["min_peers", "restarts_warn", "sessions_warn_percent", "event_hours"]
        return {name: getattr(self, name) for name in [*pairs, *single]}
