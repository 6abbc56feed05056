"""What a node of an environment consists of: its volumes, its units, and how its livepeer is asked. Pure.

Where the chain is read through a hosted RPC there is no geth (``geth.enabled = false``): such a node has one volume,
and what is not there has no lane, no step and no row. Everything that goes through a node's parts goes through these.
"""

from __future__ import annotations

from transcoder.catalog.history import Version, numbers
from transcoder.catalog.livepeer import NETWORKS, OLDEST
from transcoder.catalog.livepeer_api import Api, api
from transcoder.catalog.protocol import PROTOCOLS
from transcoder.layout import GETH, LIVEPEER, VOLUMES, DataVolume
from transcoder.settings import Settings, VolumeSettings

LOCAL_RPC = "http://127.0.0.1:8545"
"""Where the geth of the machine is asked."""


def data_volumes(settings: Settings) -> tuple[DataVolume, ...]:
    """Return the volumes of this environment's nodes, livepeer's first."""
    return VOLUMES if settings.geth.enabled else (LIVEPEER,)


def has_geth(settings: Settings) -> bool:
    """Tell whether a node of this environment has a geth."""
    return GETH in data_volumes(settings)


def units(settings: Settings) -> tuple[str, ...]:
    """Return the units of this environment's nodes: each volume's mount and what runs on it."""
    return tuple(unit for data in data_volumes(settings) for unit in (data.mount_unit, data.service.unit))


def volume_settings(settings: Settings, data: DataVolume) -> VolumeSettings:
    """Return what the environment wants of a volume: size, type, device name.

    :raises BadSettings: for geth's, where there is none.
    """
    return settings.volumes.livepeer if data is LIVEPEER else settings.volumes.geth


def said_of_geth(settings: Settings) -> str:
    """Say, for an error, whether an environment's nodes have a geth."""
    return f"environment {settings.name} has geth.enabled = {str(settings.geth.enabled).lower()}"


def livepeer_api(settings: Settings) -> Api:
    """Return how this environment's livepeer is asked: its port, its routes, its forms."""
    return api_of(numbers(settings.livepeer.version))


def api_of(version: Version) -> Api:
    """Return how a livepeer is asked; one older than the catalog is as its first."""
    return api(max(version, OLDEST))


def contracts_rpc(settings: Settings) -> str:
    """Return where a node's watch asks the contracts; empty where it knows no endpoint of livepeer's chain."""
    own = settings.livepeer
    if own.network not in PROTOCOLS:
        return ""
    if settings.watch.rpc_url:
        return settings.watch.rpc_url
    named = own.eth_url or own.private_options
    if has_geth(settings) and NETWORKS[own.network].layer == 1 and not named:
        return LOCAL_RPC
    return own.eth_url if own.eth_url.startswith(("http://", "https://")) else ""
