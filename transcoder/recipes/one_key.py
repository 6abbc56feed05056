"""One key, one node: which nodes claim the same address. For `fab status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transcoder import tags
from transcoder.model import Volume


def warnings(
    node: str, own: frozenset[str], others: Mapping[str, frozenset[str]], volumes: Sequence[Volume]
) -> list[str]:
    """Return a warning for each other node that claims an address of this one.

    :param own: the addresses that this node's tag, its marker and its livepeer name; ``others``: those of each other.
    :param volumes: of the environment; one that was replaced, or has gone to another region, claims nothing.
    """
    claims = {name: set(addresses) for name, addresses in others.items()}
    mine = set(own)
    for volume in volumes:
        name, address = volume.tags.get(tags.NODE, ""), volume.tags.get(tags.ADDRESS, "")
        if address and tags.REPLACED_BY not in volume.tags and tags.GONE_TO not in volume.tags:
            (mine if name == node else claims.setdefault(name, set())).add(address)
    return [
        f"node {name} claims the same address {address}: never let both run; invoke keys says who has it"
        for name in sorted(claims)
        for address in sorted({a.lower() for a in claims[name]} & {a.lower() for a in mine})
        if name != node
    ]
