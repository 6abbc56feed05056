"""What only the passphrase can prove: the key is decrypted in memory, and its own address derived. eth-account's door.

The decrypted key never leaves this module, and is never turned into a text.
"""

from __future__ import annotations

import json

from eth_account import Account
from eth_keyfile.exceptions import EthKeyfileException

from transcoder.errors import Refused
from transcoder.facts import bundle
from transcoder.facts.address import parse_address
from transcoder.secret import Secret

STANDARD, LIGHT = 2**18, 2**12
"""Rounds of scrypt: geth's own, and for the empty passphrase, with which they protect nothing (geth's --lightkdf)."""


def prove(name: str, content: bytes, passphrase: Secret) -> str:
    """Return the address that the private key in a key file derives to.

    :raises Refused: when the passphrase does not open it, or it is the key of another address than it says.
    :raises Failed: when the file is none.
    """
    said = bundle.read_key(name, content).address
    derived = _address(_decrypted(name, content, passphrase))
    if derived != said:
        raise Refused(f"{name} says {said}, and its private key is that of {derived}", hint="do not use this file")
    return derived


def opens(name: str, content: bytes, passphrase: Secret) -> bool:
    """Tell whether this passphrase opens a key file."""
    try:
        prove(name, content, passphrase)
    except WrongPassphrase:
        return False
    return True


def encrypted_anew(name: str, content: bytes, old: Secret, new: Secret) -> bytes:
    """Return the key file with another passphrase, after both it and the old one have been proven.

    :raises Refused: as `prove`.
    """
    address = prove(name, content, old)
    rounds = STANDARD if new.reveal() else LIGHT
    table = Account.encrypt(_decrypted(name, content, old), new.reveal(), kdf="scrypt", iterations=rounds)
    fresh = json.dumps({**table, "address": address[2:]}, separators=(",", ":")).encode()
    prove(name, fresh, new)
    return fresh


class WrongPassphrase(Refused):
    """The passphrase does not open the key file."""


def _decrypted(name: str, content: bytes, passphrase: Secret) -> bytes:
    try:
        return bytes(Account.decrypt(json.loads(content), passphrase.reveal()))
    except (EthKeyfileException, ValueError, TypeError, KeyError) as error:
        if "MAC mismatch" in str(error):
            raise WrongPassphrase(f"the passphrase does not open {name}", hint="type it again") from None
        raise Refused(
            f"{name} cannot be decrypted: {type(error).__name__}", hint="an earlier version: --version"
        ) from None


def _address(key: bytes) -> str:
    return parse_address("the private key", str(Account.from_key(key).address))
