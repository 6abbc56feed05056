"""The table ``[monitoring]`` of an environment: what of its nodes' readings goes to CloudWatch, and who gets mail."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from transcoder.alarmed import ALARMED, UNSENT
from transcoder.checks import BY_NAME


class Monitoring(BaseModel):
    """CloudWatch for the nodes of an environment.

    ``level``: the state of a check from which on its alarm rings. ``minutes``: for how long, and how long data may be
    missing. ``endpoint_url``: where nodes find CloudWatch when it is not Amazon's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cloudwatch: bool = False
    emails: list[str] = Field(default_factory=list)
    checks: list[str] = Field(default_factory=lambda: list(ALARMED))
    level: Literal["warn", "alarm"] = "alarm"
    minutes: int = Field(default=5, ge=1, le=60)
    dashboard: bool = True
    endpoint_url: str = ""

    @field_validator("emails")
    @classmethod
    def _are_addresses(cls, emails: list[str]) -> list[str]:
        wrong = [each for each in emails if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", each)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: no mail address, such as ops@example.org")
        return sorted(set(emails))

    @field_validator("checks")
    @classmethod
    def _names_checks(cls, checks: list[str]) -> list[str]:
        known = set(BY_NAME) - {UNSENT}
        unknown = sorted(set(checks) - known)
        if unknown:
            raise ValueError(f"no such check: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        return list(dict.fromkeys(checks))

    @field_validator("endpoint_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if url and urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"{url!r} is not an http(s) address")
        return url
