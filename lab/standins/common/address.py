"""Ethereum addresses: 20 bytes, the end of the hash of a public key."""

from .keccak import keccak_256
from .secp256k1 import public_key


def address_of_public(public: bytes) -> bytes:
    """The address of a 64-byte public key."""
    return keccak_256(public)[12:]


def address_of(private: bytes) -> bytes:
    """The address of a 32-byte private key."""
    return address_of_public(public_key(private))


def checksummed(address: bytes) -> str:
    """EIP-55: hexadecimal text whose capital letters are a checksum."""
    text = address.hex()
    digest = keccak_256(text.encode()).hex()
    return "0x" + "".join(c.upper() if int(d, 16) >= 8 else c for c, d in zip(text, digest))


def parse_address(text: str) -> bytes:
    """Read an address with or without 0x, in any case; ValueError when it is not 40 hexadecimal digits."""
    digits = text[2:] if text[:2].lower() == "0x" else text
    if len(digits) != 40:
        raise ValueError(f"an address has 40 hexadecimal digits, this has {len(digits)}: {text}")
    return bytes.fromhex(digits)
