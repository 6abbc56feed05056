"""Choices for the tests of the catalog: one that is right of each kind, to be changed in one place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from transcoder.catalog.choice import Choice, GethChoice, LivepeerChoice

REFERENCE = Choice(
    os="ubuntu-18.04",
    instance_type="c4.2xlarge",
    geth=GethChoice((1, 8, 27), "light", 512),
    livepeer=LivepeerChoice((0, 2, 4), "mainnet"),
)
"""The set-up of 2018."""
ARBITRUM = Choice(
    os="ubuntu-24.04",
    instance_type="m6i.xlarge",
    geth=None,
    livepeer=LivepeerChoice(
        (0, 9, 1),
        "arbitrum-one-mainnet",
        eth_url="https://arb1.arbitrum.io/rpc",
        price_per_unit="1200",
        initialize_round=False,
    ),
)
"""One of today."""


def with_livepeer(choice: Choice, **changes: Any) -> Choice:
    """Return a choice with another livepeer."""
    return replace(choice, livepeer=replace(choice.livepeer, **changes))


def with_geth(choice: Choice, **changes: Any) -> Choice:
    """Return a choice with another geth."""
    return replace(choice, geth=replace(choice.geth or GethChoice((1, 17, 5), "snap", 4096, True), **changes))
