"""What the watch of a node is told: /etc/transcoder/watch.json, a function of the environment."""

from __future__ import annotations

from typing import Any

from packer.programs import choice_of
from transcoder import alarms, layout, shape
from transcoder.catalog.choice import Choice
from transcoder.catalog.history import at
from transcoder.catalog.livepeer import LAYOUTS, NETWORKS, PORTS, STOPS
from transcoder.catalog.livepeer_api import api
from transcoder.catalog.options import announcement
from transcoder.catalog.protocol import CONTRACT_KEYS, DEFAULT_ROUND_SECONDS, EVENTS, KINDS, PROTOCOLS
from transcoder.checks import patience
from transcoder.settings import Settings

METADATA = "169.254.169.254:80"
TLS_SINCE, SERVICE_URI_SINCE, TICKETS_SINCE = (0, 3, 0), (0, 4, 0), (0, 5, 9)
"""go-livepeer: the work port speaks TLS; the own record has ServiceURI; the database has ticketQueue."""


def watch_configuration(settings: Settings) -> dict[str, Any]:
    """Return the configuration of the watch, as JSON has it. There is no secret in it."""
    choice, own = choice_of(settings), settings.watch
    volumes = shape.data_volumes(settings)
    return {
        "identity": {
            "environment": settings.name,
            "livepeer": settings.livepeer.version,
            "geth": settings.geth.version if settings.geth.enabled else "",
            "network": settings.livepeer.network,
        },
        "listen": {"address": own.address, "port": own.port},
        "interval_seconds": own.interval_seconds,
        "answer_seconds": own.answer_seconds,
        "rpc_interval_seconds": own.rpc_interval_seconds,
        "slow_interval_seconds": own.slow_interval_seconds,
        "runbooks": own.runbooks,
        "checks": patience(own.after_seconds, own.clear_seconds),
        "thresholds": {**own.thresholds, **_derived(settings)},
        "marker": layout.MARKER,
        "metadata": METADATA,
        "units": {volume.role: volume.service.unit for volume in volumes} | {"chrony": "chrony.service"},
        "volumes": {volume.role: {"mount": volume.mount, "label": volume.label} for volume in volumes},
        "geth": {"url": shape.LOCAL_RPC} if settings.geth.enabled else None,
        "rpc": shape.contracts_rpc(settings),
        "protocol": _protocol(settings),
        "livepeer": _livepeer(choice),
        "cloudwatch": alarms.sending(settings),
        "nightly": _nightly(settings),
    }


def _nightly(settings: Settings) -> dict[str, Any]:
    """Return what only the nightly restart needs: its budgets, and by role the mounts and how long a stop may take."""
    own, volumes = settings.restart, shape.data_volumes(settings)
    stops = {layout.LIVEPEER.role: at(STOPS, choice_of(settings).livepeer.version).budget_seconds}
    if settings.geth.enabled:
        stops[layout.GETH.role] = settings.geth.stop_budget_seconds
    return {
        "max_age_seconds": own.max_age_hours * 3600,
        "wait_reward_seconds": own.wait_reward_seconds,
        "wait_sessions_seconds": own.wait_sessions_seconds,
        "in_sync_seconds": settings.geth.in_sync_budget_seconds,
        "healthy_seconds": settings.livepeer.healthy_budget_seconds,
        "stop_seconds": stops,
        "mounts": {volume.role: volume.mount_unit for volume in volumes},
    }


def _derived(settings: Settings) -> dict[str, float]:
    """Return the thresholds that other tables of the environment have."""
    protocol = PROTOCOLS.get(settings.livepeer.network)
    peers = settings.watch.min_peers or (1 if settings.geth.sync_mode == "light" else 3)
    return {
        "min_peers": peers,
        "head_age_seconds": settings.geth.head_age_seconds,
        "round_seconds": protocol.round_seconds if protocol else DEFAULT_ROUND_SECONDS,
    }


def _protocol(settings: Settings) -> dict[str, Any] | None:
    found = PROTOCOLS.get(settings.livepeer.network)
    if found is None:
        return None
    return {
        "controller": found.controller,
        "contracts": CONTRACT_KEYS,
        "events": {f"0x{EVENTS[signature]}": kind for signature, kind in KINDS.items()},
        "new_round": f"0x{EVENTS['NewRound(uint256,bytes32)']}",
        "active_by_round": found.active_by_round,
        "round_blocks": found.round_blocks,
        "blocks_per_block": found.blocks_per_block,
        "log_blocks": settings.watch.log_blocks,
    }


def _livepeer(choice: Choice) -> dict[str, Any]:
    version = choice.livepeer.version
    known = api(version)
    data = layout.KEYSTORE.removesuffix("/keystore")
    announced = announcement(choice.livepeer)
    return {
        "base": known.base,
        "status": known.status,
        "address": known.address,
        "own_record": known.own_record.route,
        "own_record_key": known.own_record.key,
        "current_round": known.current_round,
        "round_form": known.round_form,
        "round_initialized": known.round_initialized,
        "eth_balance": known.eth_balance,
        "metrics": known.metrics,
        "on_chain": NETWORKS[choice.livepeer.network].layer > 0,
        "work_port": at(PORTS, version).work,
        "work_tls": version >= TLS_SINCE,
        "service_uri": version >= SERVICE_URI_SINCE,
        "service_address": choice.livepeer.service_address,
        "announced": announced.flag if announced else "",
        "tickets": f"{data}/{at(LAYOUTS, version).database}" if version >= TICKETS_SINCE else "",
    }
