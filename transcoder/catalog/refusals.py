"""Why a choice of versions cannot be: every reason at once, before anything is baked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from transcoder.catalog import geth, geth_keys, gpu, livepeer, passphrase
from transcoder.catalog.choice import PRIVATE_OPTIONS, Choice, GethChoice, LivepeerChoice
from transcoder.catalog.history import Version, at, shown
from transcoder.catalog.livepeer import NETWORKS
from transcoder.catalog.livepeer_flags import elsewhere, known
from transcoder.catalog.options import flag_names, livepeer_arguments
from transcoder.catalog.systems import SYSTEMS, Glibc, runs

KEYSTORE = "<datadir>/keystore"
"""Where the checks of the image and of the operations look for the node's key."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,}")
"""What the keys of RPC providers look like in an address."""
_FIXED = frozenset({"ethAcctAddr", "ethUrl", "datadir", "dataDir", "network", "nvidia", "config", "version"})
"""Beside what is rendered for an image: flags that options must not give a second time, or in its place."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def reasons(choice: Choice) -> tuple[str, ...]:
    """Return why these programs cannot be baked or could not work together; nothing when they can."""
    unknown = (*_unknown_livepeer(choice.livepeer), *_unknown_geth(choice.geth))
    if unknown:
        return unknown
    return (
        *_system(choice),
        *_network(choice),
        *_chain(choice),
        *_account(choice.livepeer),
        *_passphrase(choice),
        *_prices(choice.livepeer),
        *_options(choice),
        *_gpu(choice),
        *_geth(choice),
    )


def notes(choice: Choice) -> tuple[str, ...]:
    """Return what an operator should know of a choice that is not refused."""
    own, network = choice.livepeer, NETWORKS[choice.livepeer.network]
    found = []
    if network.gone:
        found.append(f"the network {network.name} exists no longer: {network.gone}")
    if choice.geth and choice.geth.sync_mode == "light":
        found.append("light: no light server answers on mainnet any more; it works on a private chain")
    if choice.geth and choice.geth.from_ppa:
        found.append(
            "geth from the package archive: it keeps the newest build only, so an older one cannot be baked again"
        )
    if own.version >= (0, 7, 2) and "startupAvailabilityCheck" not in own.options:
        found.append("livepeer ends where it cannot reach its own public address at its start (#733)")
    return tuple(found)


def _unknown_livepeer(own: LivepeerChoice) -> Iterator[str]:
    if not livepeer.OLDEST <= own.version <= livepeer.NEWEST:
        known_ones = f"{livepeer.tag(livepeer.OLDEST)} to {livepeer.tag(livepeer.NEWEST)}"
        yield f"livepeer {livepeer.tag(own.version)}: known are {known_ones}"
    if own.network not in NETWORKS:
        yield f"livepeer.network {own.network}: known are {', '.join(NETWORKS)}"


def _unknown_geth(own: GethChoice | None) -> Iterator[str]:
    if own and not geth_keys.OLDEST <= own.version <= geth_keys.NEWEST:
        known_ones = f"{shown(geth_keys.OLDEST)} to {shown(geth_keys.NEWEST)}"
        yield f"geth {shown(own.version)}: known are {known_ones}"


def _system(choice: Choice) -> Iterator[str]:
    own = choice.livepeer.version
    if not choice.gpus or own >= gpu.SINCE:
        needed = livepeer.build(own, gpu=bool(choice.gpus)).glibc
        yield from _too_old(f"livepeer {livepeer.tag(own)}", needed, choice.os)
    if choice.geth and not choice.geth.from_ppa:
        yield from _too_old(f"geth {shown(choice.geth.version)}", at(geth.GLIBCS, choice.geth.version), choice.os)
    if choice.geth and choice.geth.from_ppa and choice.os not in geth.PPA_CODENAMES:
        yield f"geth.source: the package archive is not built for {choice.os}, but for {', '.join(geth.PPA_CODENAMES)}"


def _too_old(program: str, needed: Glibc | None, os: str) -> Iterator[str]:
    if os not in SYSTEMS:
        yield f"image.os {os}: known are {', '.join(SYSTEMS)}"
    elif os not in runs(needed):
        others = ", ".join(runs(needed)) or "no system known here"
        yield (
            f"{program} on {os}: it needs glibc {shown(needed or ())}, which {os} does not have "
            f"({shown(SYSTEMS[os].glibc)}); it runs on {others}"
        )


def _network(choice: Choice) -> Iterator[str]:
    own = choice.livepeer
    network, name = NETWORKS[own.network], livepeer.tag(own.version)
    if own.version not in network.span:
        yield f"livepeer {name} does not know the network {own.network}, which came with v{shown(network.span.since)}"
    if own.network == "mainnet" and own.version >= livepeer.LIP_73:
        yield f"livepeer {name} on Ethereum mainnet: {network.gone}: set livepeer.network to arbitrum-one-mainnet"
    controller = "ethController" if own.version >= (0, 5, 0) else "controllerAddr"
    if own.network == "devenv" and controller not in own.options:
        yield f"livepeer.network devenv needs the address of its contracts: set livepeer.options.{controller}"


def _chain(choice: Choice) -> Iterator[str]:
    own, network = choice.livepeer, NETWORKS[choice.livepeer.network]
    if own.eth_url and own.private_options:
        yield f"livepeer.eth_url and livepeer.private_options: the address is to stand in {PRIVATE_OPTIONS} then"
    if own.network == "offchain":
        if own.eth_url:
            yield "livepeer.eth_url: the network offchain has no chain"
        return
    if not choice.chain_url and not own.private_options:
        what = f"the RPC address of {own.network}" + ("" if network.layer == 1 else ", which is no chain of geth's")
        yield f"livepeer.eth_url is missing: {what}, or set livepeer.private_options"
    if own.eth_url:
        yield from _url(own.eth_url)
        if choice.geth and network.layer == 1:
            yield "livepeer.eth_url and geth: livepeer would not use the geth of its machine; set geth.enabled = false"


def _url(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or _TOKEN.search(parts.path):
        yield (
            "livepeer.eth_url seems to hold a key, and would stand in the AMI and in the process list: set "
            f"livepeer.private_options, and write it into {PRIVATE_OPTIONS} on the livepeer volume"
        )
    secure = parts.scheme in ("https", "wss") or parts.hostname in _LOOPBACK
    if not parts.hostname or not secure or parts.scheme not in ("https", "wss", "http", "ws"):
        yield f"livepeer.eth_url {parts.scheme}://{parts.hostname or ''}: https or wss is wanted, except on loopback"


def _account(own: LivepeerChoice) -> Iterator[str]:
    name, keystore = livepeer.tag(own.version), at(livepeer.LAYOUTS, own.version).keystore
    if keystore != KEYSTORE:
        yield (
            f"livepeer {name} looks for its keys in {keystore}, where nothing here looks after them: "
            "take 0.3.1 or older, or v0.5.0 or later"
        )
    if own.private_options and own.version < livepeer.CONFIG_SINCE:
        yield f"livepeer.private_options: livepeer {name} has no -config, or one whose errors it ignores (v0.5.26)"


def _passphrase(choice: Choice) -> Iterator[str]:
    own = choice.livepeer
    has_file = "ethPassword" in own.options
    yield from passphrase.reasons(own.passphrase_store, own.version, has_file=has_file, has_role=choice.has_role)


def _prices(own: LivepeerChoice) -> Iterator[str]:
    name = livepeer.tag(own.version)
    if own.gas_price_wei and own.version >= livepeer.GAS_PRICE_GONE:
        yield (
            f"livepeer.gas_price_wei: livepeer {name} has no -gasPrice, which v0.5.17 removed: "
            "set livepeer.options.maxGasPrice"
        )
    if not own.price_per_unit and own.version >= livepeer.PRICE_REQUIRED_SINCE:
        yield f"livepeer.price_per_unit is missing: livepeer {name} panics without -pricePerUnit"
    if own.price_per_unit and own.version < (0, 5, 0):
        yield f"livepeer.price_per_unit: livepeer {name} has no -pricePerUnit, which came with v0.5.0"
    elif own.price_per_unit and not _is_price(own.price_per_unit, own.version):
        wanted = "wei, or as 0.50USD" if own.version >= livepeer.PRICE_IN_CURRENCY_SINCE else "whole wei"
        yield f"livepeer.price_per_unit {own.price_per_unit!r}: livepeer {name} takes {wanted}"
    if own.service_address and own.version < (0, 3, 0):
        yield f"livepeer.service_address: livepeer {name} has no -serviceAddr, which came with 0.3.0"


def _is_price(text: str, version: Version) -> bool:
    currency = r"(\.[0-9]+)?[A-Za-z]*" if version >= livepeer.PRICE_IN_CURRENCY_SINCE else ""
    return re.fullmatch(r"[0-9]+" + currency, text) is not None


def _options(choice: Choice) -> Iterator[str]:
    own = choice.livepeer
    bare = LivepeerChoice(**{**own.__dict__, "options": {}})
    rendered = set(flag_names(livepeer_arguments(Choice(choice.os, choice.instance_type, choice.geth, bare))))
    for name, value in own.options.items():
        flag = known(own.version).get(name)
        if flag is None:
            yield _no_flag(own.version, name)
        elif name in (rendered | _FIXED | NETWORKS.keys()) - {"v"}:
            yield f"livepeer.options.{name}: the image sets -{name} itself"
        else:
            yield from _wrong_value(flag.kind, name, value, own.version)


def _no_flag(version: Version, name: str) -> str:
    others = [flag.span for flag in elsewhere(name)]
    if not others:
        return f"livepeer.options.{name}: the catalog knows no flag -{name} of any livepeer (see `invoke catalog`)"
    spans = [f"{livepeer.tag(s.since)}{f' until before {livepeer.tag(s.until)}' if s.until else ' on'}" for s in others]
    return f"livepeer.options.{name}: livepeer {livepeer.tag(version)} has no -{name}, known from {', '.join(spans)}"


_FORMS = {
    "bool": (r"true|false", "true or false"),
    "int": (r"-?[0-9]+", "a whole number"),
    "duration": (r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+", "a duration like 30s"),
    "text": (r"[^-].*", "a text that does not begin with a dash"),
    "secret": (
        r"/.+",
        "the path of a file on the machine, for every user of the machine can read a secret on a command line",
    ),
}


def _wrong_value(kind: str, name: str, value: str, version: Version) -> Iterator[str]:
    pattern, wanted = _FORMS[kind]
    if not re.fullmatch(pattern, value):
        found = "" if kind == "secret" else f" {value!r}"
        yield f"livepeer.options.{name}{found}: {wanted} is wanted"
    if kind == "secret" and version < livepeer.PASSWORD_FILES_SINCE:
        yield f"livepeer.options.{name}: livepeer {livepeer.tag(version)} takes no file there, which came with v0.5.2"


def _gpu(choice: Choice) -> Iterator[str]:
    if not choice.gpus:
        if choice.archive == livepeer.GPU_ARCHIVE:
            yield f"livepeer.source names {choice.archive}, which starts on a machine with CUDA only: set gpu.devices"
        return
    own = choice.livepeer.version
    if own < gpu.SINCE:
        yield f"gpu: livepeer {livepeer.tag(own)} is for CUDA 11 or none; v{shown(gpu.SINCE)} and later are for CUDA 12"
    if choice.os not in gpu.PACKAGES:
        yield f"gpu: {choice.os} has no packages of the driver and CUDA 12; {', '.join(gpu.PACKAGES)} has"
    if own >= gpu.SINCE and choice.archive == livepeer.build(own).file:
        yield f"gpu: livepeer.source names {choice.archive}, the build without CUDA: {livepeer.download(own, gpu=True)}"
    if not gpu.has_gpu(choice.instance_type):
        yield f"gpu: a {choice.instance_type} has no NVIDIA GPU; families that do: {', '.join(gpu.FAMILIES)}"


def _geth(choice: Choice) -> Iterator[str]:
    own, network = choice.geth, NETWORKS[choice.livepeer.network]
    if own is None:
        return
    name, modes = shown(own.version), geth.sync_modes(own.version)
    if own.sync_mode not in modes:
        yield f"geth.sync_mode {own.sync_mode}: geth {name} has {', '.join(modes)}"
    if not network.chain_id:
        yield f"geth for the network {network.name}: which chain it is to follow is not known; set geth.enabled = false"
    if network.name == "rinkeby" and own.version >= geth.RINKEBY_GONE:
        yield f"geth {name} does not know Rinkeby, which 1.12.1 gave up"
    if network.chain_id == 1 and own.version >= geth.MERGE and not own.consensus_client:
        yield (
            f"geth {name} on mainnet follows no head without a consensus client (proof of stake, from "
            f"{shown(geth.MERGE)}): run one that drives 127.0.0.1:8551 and set geth.consensus_client = true, or set "
            "geth.enabled = false"
        )
    if own.consensus_client and own.version < geth.AUTH_SINCE:
        yield f"geth.consensus_client: geth {name} has no port for one, which came with {shown(geth.AUTH_SINCE)}"
