"""SSM parameters: how long a value may be."""

from __future__ import annotations

from moto.ssm.exceptions import ValidationException

LONGEST = {"Standard": 4096, "Advanced": 8192}
"""Characters of a value, by tier (SSM user guide, "Managing parameter tiers")."""


def check_value(value: str, tier: str) -> None:
    """Refuse a value that is too long for its tier. ``Intelligent-Tiering`` takes what the larger tier takes."""
    limit = LONGEST.get(tier, LONGEST["Advanced"])
    if len(value) <= limit:
        return
    text = f"{tier} tier parameters support a maximum parameter value of {limit} characters."
    if tier == "Standard":
        text += (
            " To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."
            " For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/"
            "parameter-store-advanced-parameters.html"
        )
    error: Exception = ValidationException(text)
    raise error
