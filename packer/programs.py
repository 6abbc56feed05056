"""What the baked geth and livepeer are told: an environment's choice, put to the catalog of their versions.

Every version of geth refuses configuration keys that it does not know, and every version of livepeer flags; so what
the catalog does not know is refused before anything is baked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transcoder.catalog import geth, geth_keys, gpu, livepeer, refusals
from transcoder.catalog.choice import PRIVATE_OPTIONS, Choice, GethChoice, LivepeerChoice
from transcoder.catalog.geth_config import geth_tables
from transcoder.catalog.history import at, numbers
from transcoder.catalog.options import announcement, livepeer_arguments
from transcoder.errors import Refused
from transcoder.settings import Settings


def choice_of(settings: Settings) -> Choice:
    """Return what an environment chooses among the versions."""
    own = settings.livepeer
    return Choice(
        os=settings.image.os,
        instance_type=settings.instance.type,
        geth=_geth_choice(settings),
        livepeer=LivepeerChoice(
            version=numbers(own.version),
            network=own.network,
            eth_url=own.eth_url,
            service_address=own.service_address,
            initialize_round=own.initialize_round,
            gas_price_wei=own.gas_price_wei,
            price_per_unit=str(own.price_per_unit),
            private_options=own.private_options,
            passphrase_store=settings.keys.passphrase_store,
            options=_texts(own.options),
        ),
        gpus=settings.gpu.devices,
        archive=own.source.rpartition("/")[2],
        has_role=bool(settings.aws.instance_profile),
    )


def check_programs(settings: Settings) -> None:
    """Refuse versions that do not exist for this recipe or do not go together, all reasons at once.

    :raises Refused: with what is wrong and, where it is known, what would be right.
    """
    reasons = refusals.reasons(choice_of(settings))
    if reasons:
        hint = f"edit {settings.path}; `invoke catalog` prints what is supported"
        raise Refused("these programs cannot be baked like this", reasons=reasons, hint=hint)


def notes(settings: Settings) -> tuple[str, ...]:
    """Return what an operator should know of programs that `check_programs` lets pass."""
    return refusals.notes(choice_of(settings))


def gpu_packages(settings: Settings) -> tuple[str, ...]:
    """Return the packages of the driver and its libraries, where there is a GPU."""
    return gpu.packages(settings.image.os, settings.gpu.devices)


def template_values(settings: Settings) -> dict[str, Any]:
    """Return what the templates of the units and of geth.toml need beside settings and layout."""
    choice = choice_of(settings)
    version = choice.livepeer.version
    return {
        "livepeer_flags": livepeer_arguments(choice),
        "announcement": announcement(choice.livepeer),
        "livepeer_stop": at(livepeer.STOPS, version),
        "private_options": PRIVATE_OPTIONS,
        "passphrases": settings.passphrase_path if settings.keys.passphrase_store else "",
        "uses_local_geth": choice.uses_local_geth,
        "control_ports": control_ports(choice),
        **_geth_values(choice, settings.geth.max_peers),
    }


def control_ports(choice: Choice) -> tuple[int, ...]:
    """Return the TCP ports that are for this machine alone: bound to loopback, and kept there by the firewall."""
    return (at(livepeer.PORTS, choice.livepeer.version).control, *(geth.CONTROL_PORTS if choice.geth else ()))


def _geth_values(choice: Choice, max_peers: int) -> dict[str, Any]:
    own = choice.geth
    if own is None:
        return {}
    flags = geth.arguments(
        own.version, sync_mode=own.sync_mode, cache_mib=own.cache_mib, network=choice.livepeer.network
    )
    return {
        "geth_flags": flags,
        "geth_family": at(geth_keys.FAMILIES, own.version),
        "geth_tables": geth_tables(choice, max_peers),
    }


def _geth_choice(settings: Settings) -> GethChoice | None:
    own = settings.geth
    if not own.enabled:
        return None
    return GethChoice(numbers(own.version), own.sync_mode, own.cache_mib, own.consensus_client, own.from_ppa)


def _texts(options: Mapping[str, bool | int | str]) -> dict[str, str]:
    """Return values as a command line has them: booleans in lower case."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in options.items()}
