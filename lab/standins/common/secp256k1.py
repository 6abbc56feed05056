"""The curve secp256k1: public keys, signatures with recovery. Not constant time: for rehearsal keys only."""

import hashlib
import hmac
from typing import NamedTuple, Optional, Tuple

_P = 2**256 - 2**32 - 977
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_GENERATOR = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
Point = Tuple[int, int]


class Signature(NamedTuple):
    """r, s and the recovery bit (0 or 1) of a signature."""

    r: int
    s: int
    recovery: int


def _inverse(value: int, modulus: int) -> int:
    return pow(value, modulus - 2, modulus)  # Fermat: pow(x, -1, m) needs Python 3.8


def _add(a: Optional[Point], b: Optional[Point]) -> Optional[Point]:
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0]:
        if (a[1] + b[1]) % _P == 0:
            return None
        slope = 3 * a[0] * a[0] * _inverse(2 * a[1], _P) % _P
    else:
        slope = (b[1] - a[1]) * _inverse(b[0] - a[0], _P) % _P
    x = (slope * slope - a[0] - b[0]) % _P
    return x, (slope * (a[0] - x) - a[1]) % _P


def _multiply(point: Point, factor: int) -> Point:
    result: Optional[Point] = None
    addend: Optional[Point] = point
    while factor:
        if factor & 1:
            result = _add(result, addend)
        addend = _add(addend, addend)
        factor >>= 1
    if result is None:
        raise ValueError("the point at infinity has no coordinates")
    return result


def public_key(private: bytes) -> bytes:
    """The 64-byte public key (x and y) of a 32-byte private key; ValueError outside 1..order-1."""
    number = int.from_bytes(private, "big")
    if not 0 < number < ORDER:
        raise ValueError("a private key lies between 1 and the order of the curve")
    x, y = _multiply(_GENERATOR, number)
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


def _nonce(private: bytes, digest: bytes) -> int:
    """RFC 6979: the same key and digest always give the same nonce, and never a weak one."""
    reduced = (int.from_bytes(digest, "big") % ORDER).to_bytes(32, "big")
    value, key = b"\x01" * 32, b"\x00" * 32
    for separator in (b"\x00", b"\x01"):
        key = hmac.new(key, value + separator + private + reduced, hashlib.sha256).digest()
        value = hmac.new(key, value, hashlib.sha256).digest()
    while True:
        value = hmac.new(key, value, hashlib.sha256).digest()
        candidate = int.from_bytes(value, "big")
        if 0 < candidate < ORDER:
            return candidate
        key = hmac.new(key, value + b"\x00", hashlib.sha256).digest()
        value = hmac.new(key, value, hashlib.sha256).digest()


def sign(private: bytes, digest: bytes) -> Signature:
    """Sign a 32-byte digest; s is the low one, as Ethereum demands since Homestead."""
    nonce = _nonce(private, digest)
    x, y = _multiply(_GENERATOR, nonce)
    r = x % ORDER
    message = int.from_bytes(digest, "big")
    s = _inverse(nonce, ORDER) * (message + r * int.from_bytes(private, "big")) % ORDER
    recovery = y & 1
    if s > ORDER // 2:
        s, recovery = ORDER - s, recovery ^ 1
    return Signature(r, s, recovery)


def recover(digest: bytes, signature: Signature) -> bytes:
    """The 64-byte public key that made `signature` over `digest`; ValueError when there is none."""
    x = signature.r
    if not (0 < x < ORDER and 0 < signature.s < ORDER):
        raise ValueError("invalid transaction v, r, s values")
    square = (pow(x, 3, _P) + 7) % _P
    y = pow(square, (_P + 1) // 4, _P)
    if y * y % _P != square:
        raise ValueError("invalid signature: no point of the curve has this r")
    if y & 1 != signature.recovery:
        y = _P - y
    inverse = _inverse(x, ORDER)
    message = int.from_bytes(digest, "big")
    first = _multiply((x, y), signature.s * inverse % ORDER)
    second = _multiply(_GENERATOR, -message * inverse % ORDER)
    point = _add(first, second)
    if point is None:
        raise ValueError("invalid signature: it recovers no key")
    return point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")
