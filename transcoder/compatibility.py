"""Can this image go on with the data that another one has written? Pure. What lies where is in the catalog."""

from __future__ import annotations

from transcoder.catalog.history import at
from transcoder.catalog.livepeer import LAYOUTS
from transcoder.facts.release import Release, Version, shown


def layout_of(livepeer: Version) -> tuple[str, str]:
    """Return where a livepeer has its keys, and its database's name; one older than the catalog is as its first."""
    layout = at(LAYOUTS, max(livepeer, LAYOUTS[0].since))
    return layout.keystore, layout.database


def incompatible(written_by: Release, image: Release) -> tuple[str, ...]:
    """Return why ``image`` cannot go on with what ``written_by`` has written; nothing when it can."""
    reasons = []
    before, after = layout_of(written_by.livepeer), layout_of(image.livepeer)
    if before[0] != after[0]:
        reasons.append(
            f"livepeer {shown(image.livepeer)} looks for its keys in {after[0]}, {shown(written_by.livepeer)} has them "
            f"in {before[0]}: it would make a new account"
        )
    if before[1] != after[1]:
        reasons.append(
            f"livepeer {shown(image.livepeer)} calls its database {after[1]}, {shown(written_by.livepeer)} "
            f"{before[1]}: it would begin an empty one"
        )
    if image.livepeer < written_by.livepeer and before == after:
        reasons.append(f"livepeer would go back from {shown(written_by.livepeer)} to {shown(image.livepeer)}")
    reasons += _geth_reasons(written_by.geth, image.geth)
    if written_by.network and image.network and written_by.network != image.network:
        reasons.append(f"the image is for the network {image.network}, the data are of {written_by.network}")
    return tuple(reasons)


def _geth_reasons(before: Version | None, after: Version | None) -> list[str]:
    if before is None and after is None:
        return []
    if after is None:
        return ["the image has no geth, and the node has one: its livepeer would look for the chain elsewhere"]
    if before is None:
        return ["the image has a geth, and the node has none: its livepeer would look for the chain elsewhere"]
    if after < before:
        return [f"geth would go back from {shown(before)} to {shown(after)}: its chain data do not"]
    return []
