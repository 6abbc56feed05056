"""livepeer's arguments, as far as they are known before there is a machine. The rest is added by run-livepeer there."""

from __future__ import annotations

from transcoder.catalog import livepeer as catalog
from transcoder.catalog.choice import PRIVATE_OPTIONS, Choice, LivepeerChoice
from transcoder.catalog.history import at
from transcoder.catalog.livepeer_flags import known

DATA_DIRECTORY, IPFS_DIRECTORY = "/d1/livepeer/.lpData", "/d1/livepeer"
"""With -ipfsPath its log is in the ``logs`` directory of the layout, as the reference set-up has it."""


def livepeer_arguments(choice: Choice) -> tuple[str, ...]:
    """Return the arguments. They fit the version when `refusals.reasons` has nothing to say about the choice.

    :raises LookupError: for a version before the first one known.
    """
    own = choice.livepeer
    return (
        *at(catalog.ROLE_FLAGS, own.version),
        *catalog.network_flags(own.version, own.network),
        *_directories(own),
        *_chain(choice),
        *(("-initializeRound",) if own.initialize_round else ()),
        *_prices(own),
        *_control(own),
        *(("-serviceAddr", own.service_address) if own.service_address else ()),
        *(("-nvidia", choice.gpus) if choice.gpus else ()),
        *(("-config", PRIVATE_OPTIONS) if own.private_options else ()),
        *(() if own.version >= (0, 7, 0) or "v" in own.options else ("-v", "4")),
        *(word for name in sorted(own.options) for word in _option(own, name)),
    )


def announcement(choice: LivepeerChoice) -> catalog.Announcement | None:
    """Return what run-livepeer has to add on the machine to tell others where it is; None: an address is given."""
    given = choice.service_address or "serviceAddr" in choice.options or "publicIP" in choice.options
    return None if given else at(catalog.ANNOUNCEMENTS, choice.version)


def flag_names(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the flags among arguments: a flag's value never begins with a dash."""
    return tuple(word[1:].partition("=")[0] for word in arguments if word.startswith("-"))


def _directories(own: LivepeerChoice) -> tuple[str, ...]:
    data = "-dataDir" if own.version >= catalog.DATA_DIR_SINCE else "-datadir"
    ipfs = () if own.version >= catalog.IPFS_GONE else ("-ipfsPath", IPFS_DIRECTORY)
    return (data, DATA_DIRECTORY, *ipfs)


def _chain(choice: Choice) -> tuple[str, ...]:
    if choice.livepeer.network == "offchain" or not choice.chain_url:
        return ()
    return ("-ethUrl", choice.chain_url)


def _prices(own: LivepeerChoice) -> tuple[str, ...]:
    gas = own.version < catalog.GAS_PRICE_GONE or own.gas_price_wei
    return (
        *(("-gasPrice", str(own.gas_price_wei)) if gas else ()),
        *(("-pricePerUnit", own.price_per_unit) if own.price_per_unit else ()),
    )


def _control(own: LivepeerChoice) -> tuple[str, ...]:
    ports = at(catalog.PORTS, own.version)
    return (ports.flag, ports.value)


def _option(own: LivepeerChoice, name: str) -> tuple[str, ...]:
    flag, value = known(own.version).get(name), own.options[name]
    if flag is not None and flag.kind == "bool":
        return (f"-{name}={value}",)  # Go's flags take a boolean's value no other way
    return (f"-{name}", value)
