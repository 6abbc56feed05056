"""The catalog as tables: which versions belong together, and what each of them can. For people, and as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from transcoder.catalog import geth, geth_keys, gpu, livepeer, livepeer_api, refusals
from transcoder.catalog.history import Version, at, changes, shown
from transcoder.catalog.livepeer_flags import FLAGS
from transcoder.catalog.systems import runs


@dataclass(frozen=True)
class LivepeerRange:
    """Releases of livepeer that are alike in all that is shown. ``control``: its HTTP API, on loopback."""

    versions: str
    systems: tuple[str, ...]
    networks: tuple[str, ...]
    control: str
    own_record: str
    keystore: str
    database: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class GethRange:
    """Releases of geth that are alike in all that is shown.

    ``configuration``: releases that take the same file; ``flags``: what the first of the sync modes needs beside it.
    """

    versions: str
    sync_modes: tuple[str, ...]
    configuration: str
    systems: tuple[str, ...]
    mainnet: str
    flags: tuple[str, ...]


def livepeer_ranges() -> tuple[LivepeerRange, ...]:
    """Return what is known of livepeer, oldest first."""
    begins = {network.span.since for network in livepeer.NETWORKS.values()}
    begins |= changes(livepeer.ROLE_FLAGS) | changes(livepeer.LAYOUTS) | changes(livepeer.PORTS)
    begins |= changes(livepeer.BUILDS) | changes(livepeer.REWARD_TRIGGERS)
    begins |= changes(livepeer_api.OWN_RECORD) | changes(livepeer_api.ROUND_FORM)
    begins |= {livepeer.CONFIG_SINCE, livepeer.GAS_PRICE_GONE, livepeer.PRICE_REQUIRED_SINCE, gpu.SINCE}
    return tuple(_livepeer_range(since, until) for since, until in _stretches(begins))


def geth_ranges() -> tuple[GethRange, ...]:
    """Return what is known of geth, oldest first."""
    begins = changes(geth.SYNC_MODES) | changes(geth.GLIBCS) | changes(geth.FORKS) | changes(geth_keys.FAMILIES)
    begins |= {edge for edge in (geth.CACHE_NEEDS_FLAG.since, geth.CACHE_NEEDS_FLAG.until) if edge}
    begins |= {geth.DISCOVERY_NEEDS_FLAG.since}
    return tuple(_geth_range(since, until) for since, until in _stretches(begins))


def describe() -> dict[str, Any]:
    """Return the whole as data for JSON, with livepeer's flags."""
    return {
        "livepeer": [asdict(row) for row in livepeer_ranges()],
        "geth": [asdict(row) for row in geth_ranges()],
        "livepeer_flags": [
            {
                "name": flag.name,
                "kind": flag.kind,
                "default": flag.default,
                "since": livepeer.tag(flag.span.since),
                "until": livepeer.tag(flag.span.until) if flag.span.until else "",
                "note": flag.note,
            }
            for flag in FLAGS
        ],
        "gpu": {"since": livepeer.tag(gpu.SINCE), "systems": list(gpu.PACKAGES), "instances": list(gpu.FAMILIES)},
    }


def _stretches(begins: set[Version]) -> Iterator[tuple[Version, Version | None]]:
    """Return where each stretch begins, and where the next one does; nothing comes after the last."""
    ordered = sorted(begins)
    return zip(ordered, [*ordered[1:], None], strict=True)


def _livepeer_range(since: Version, until: Version | None) -> LivepeerRange:
    layout, own = at(livepeer.LAYOUTS, since), livepeer_api.api(since)
    return LivepeerRange(
        versions=_range(livepeer.tag(since), livepeer.tag(until) if until else "", livepeer.tag(livepeer.NEWEST)),
        systems=runs(livepeer.build(since).glibc),
        networks=tuple(name for name, network in livepeer.NETWORKS.items() if since in network.span),
        control=own.base.removeprefix("http://"),
        own_record=own.own_record.route + (f" ({own.own_record.key})" if own.own_record.key else ""),
        keystore=layout.keystore,
        database=layout.database,
        notes=tuple(_livepeer_notes(since)),
    )


def _livepeer_notes(version: Version) -> Iterator[str]:
    role = at(livepeer.ROLE_FLAGS, version)
    yield f"role: {' '.join(role)}"
    yield f"reward: {at(livepeer.REWARD_TRIGGERS, version)}"
    if livepeer_api.api(version).round_form == "bytes":
        yield "/currentRound is bytes"
    if at(livepeer.LAYOUTS, version).keystore != refusals.KEYSTORE:
        yield "not baked: its keystore is elsewhere"
    if livepeer.build(version).glibc is None:
        yield "which glibc it needs is not known"
    if version < livepeer.GAS_PRICE_GONE:
        yield "-gasPrice"
    if version >= livepeer.PRICE_REQUIRED_SINCE:
        yield "price_per_unit needed"
    if version >= livepeer.CONFIG_SINCE:
        yield "private_options"
    if version >= livepeer.LIP_73:
        yield "mainnet refused (LIP-73)"
    if version >= gpu.SINCE:
        yield f"GPU on {', '.join(gpu.PACKAGES)}"


def _geth_range(since: Version, until: Version | None) -> GethRange:
    modes = geth.sync_modes(since)
    flags = geth.arguments(since, sync_mode=modes[0], cache_mib=512, network="mainnet")
    return GethRange(
        versions=_range(shown(since), shown(until) if until else "", shown(geth_keys.NEWEST)),
        sync_modes=modes,
        configuration=at(geth_keys.FAMILIES, since),
        systems=runs(at(geth.GLIBCS, since)),
        mainnet=at(geth.FORKS, since),
        flags=tuple(word for word in flags if word.startswith("--")),
    )


def _range(since: str, until: str, newest: str) -> str:
    return f"{since} until before {until}" if until else f"{since} to {newest}"
