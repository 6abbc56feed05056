"""Where keys are kept: one module a store, found by name, all of them `transcoder.world.KeyStore`.

A store knows names and encrypted documents, and nothing of what is in them; `transcoder.facts.bundle` does.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from transcoder.catalog.passphrase import STORES, known
from transcoder.errors import Refused
from transcoder.settings import Settings
from transcoder.settings_keys import KINDS
from transcoder.world import KeyStore

MODULES = {kind: f"transcoder.keystores.{kind.replace('-', '_')}" for kind in KINDS}


def by_name(kind: str, settings: Settings) -> KeyStore:
    """Open the store of this kind as the environment's table ``[keys]`` has it; empty: the environment's own.

    Only the module that is asked for is imported, and nothing is called yet.

    :raises Refused: when there is no such kind, or the environment does not say where it is.
    """
    wanted = kind or settings.keys.store
    if wanted not in MODULES:
        raise Refused(f"key store {wanted!r} does not exist", hint=f"one of: {', '.join(MODULES)}")
    return cast(KeyStore, import_module(MODULES[wanted]).open_store(settings))


def of_passphrases(settings: Settings) -> KeyStore:
    """Open the store from which the environment's machines fetch the passphrases of their keys.

    Its names begin otherwise than those of the keys' backups: a machine's role may read the ones and not the others.

    :raises Refused: when the environment names none, or one that no machine can ask.
    """
    keys = settings.keys
    if keys.passphrase_store not in STORES:
        named = f"keys.passphrase_store is {keys.passphrase_store!r}"
        raise Refused(
            f"the machines of environment {settings.name} fetch no passphrase: {named}",
            hint=f"{known()} in {settings.path}, then bake",
        )
    return by_name(keys.passphrase_store, apart(settings))


def apart(settings: Settings) -> Settings:
    """Return the settings with which a store has passphrases in place of backups: under names of their own."""
    keys = settings.keys.model_copy(update={"prefix": settings.passphrase_path})
    return settings.model_copy(update={"keys": keys})


def configured(settings: Settings) -> tuple[str, ...]:
    """Return the kinds of stores to look into when none is named: the environment's own, and those it says more of."""
    keys = settings.keys
    more = [*(["vault"] if keys.vault_url else []), *(["age"] if keys.age_directory else [])]
    return tuple(dict.fromkeys((keys.store, *more)))
