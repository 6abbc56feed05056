"""Whether a livepeer can have the passphrase of its key fetched from a store by its machine. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from transcoder.catalog.history import Version
from transcoder.catalog.livepeer import PASSWORD_FILES_SINCE, tag

STORES = ("ssm", "secrets-manager")
"""What a machine can ask as its IAM role."""
NOT_FOR_MACHINES = {
    "vault": "the machine has no token of Vault's, and one on its disk would be a secret to keep beside the key",
    "age": "its identity opens the files, and is the operator's: on the machine it would open every backup, too",
}
"""Stores of keys that an instance's IAM role opens nothing of."""


def reasons(store: str, version: Version, *, has_file: bool, has_role: bool) -> Iterator[str]:
    """Yield why the machine cannot fetch a passphrase from this store; nothing where none is named.

    :param has_file: the options name a file with the passphrase already.
    :param has_role: new machines get an instance profile.
    """
    if not store:
        return
    own = f"keys.passphrase_store {store}"
    if version < PASSWORD_FILES_SINCE:
        yield (
            f"{own}: livepeer {tag(version)} takes a passphrase on its command line only, where every user of the "
            f"machine can read it; a file came with {tag(PASSWORD_FILES_SINCE)}"
        )
    if store not in STORES:
        yield f"{own}: {NOT_FOR_MACHINES.get(store, 'no such store')}; a machine fetches from {known()}"
    if has_file:
        yield f"{own} and livepeer.options.ethPassword: the passphrase would have two places; leave one out"
    if not has_role:
        yield f"{own}: the machine fetches it as its IAM role, and has none: set aws.instance_profile"


def known() -> str:
    """Return the stores that a machine can fetch from, for messages."""
    return " or ".join(STORES)


def unfit(text: str) -> str:
    """Return why livepeer would not read this passphrase from a file as it is; empty when it would.

    Up to v0.7.1 it takes the first line only, from v0.7.2 on the file without blanks at both ends (common/getpass.go,
    common/readfromfile.go).
    """
    if any(ord(character) < 32 for character in text):
        return "the passphrase has a line break or another control character, at which livepeer ends or which it drops"
    if text != text.strip():
        return "the passphrase begins or ends with a blank, which livepeer drops"
    return ""
