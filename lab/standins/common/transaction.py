"""Signed transactions of 2018: legacy form, replay protection by chain id (EIP-155)."""

from typing import Any, List, NamedTuple

from . import rlp
from .address import address_of_public
from .keccak import keccak_256
from .secp256k1 import Signature, recover, sign


class Transaction(NamedTuple):
    """One call of a contract: prices and values in wei, `to` 20 bytes."""

    nonce: int
    gas_price: int
    gas: int
    to: bytes
    value: int
    data: bytes

    def fields(self) -> List[Any]:
        """The six fields in the order in which they are signed."""
        numbers = [rlp.number(part) for part in (self.nonce, self.gas_price, self.gas)]
        return [*numbers, self.to, rlp.number(self.value), self.data]


class Received(NamedTuple):
    """A transaction as a node got it: with who signed it and its hash."""

    transaction: Transaction
    sender: bytes
    digest: bytes


def _signing_digest(transaction: Transaction, chain_id: int) -> bytes:
    return keccak_256(rlp.encode([*transaction.fields(), rlp.number(chain_id), b"", b""]))


def signed(transaction: Transaction, private: bytes, chain_id: int) -> bytes:
    """The raw bytes for eth_sendRawTransaction."""
    signature = sign(private, _signing_digest(transaction, chain_id))
    v = signature.recovery + 35 + 2 * chain_id
    return rlp.encode([*transaction.fields(), *(rlp.number(part) for part in (v, signature.r, signature.s))])


def parse(raw: bytes, chain_id: int) -> Received:
    """Read raw bytes and find out who signed them; ValueError with geth's wording when that cannot be."""
    items = rlp.decode(raw)
    if not isinstance(items, list) or len(items) != 9 or not all(isinstance(item, bytes) for item in items):
        raise ValueError("rlp: expected input list for types.txdata")
    plain = [bytes(item) for item in items if isinstance(item, bytes)]
    nonce, price, gas, value, v, r, s = (int.from_bytes(plain[i], "big") for i in (0, 1, 2, 4, 6, 7, 8))
    transaction = Transaction(nonce, price, gas, plain[3], value, plain[5])
    recovery = v - 35 - 2 * chain_id
    if recovery not in (0, 1):
        raise ValueError("invalid sender")
    public = recover(_signing_digest(transaction, chain_id), Signature(r, s, recovery))
    return Received(transaction, address_of_public(public), keccak_256(raw))
