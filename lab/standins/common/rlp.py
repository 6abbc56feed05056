"""RLP, Ethereum's way to write nested lists of byte strings."""

from typing import List, Tuple, Union

Item = Union[bytes, List["Item"]]  # type: ignore[misc,unused-ignore]


def number(value: int) -> bytes:
    """A number as RLP wants it: big endian without leading zeros, zero is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _with_length(payload: bytes, short: int) -> bytes:
    if len(payload) < 56:
        return bytes([short + len(payload)]) + payload
    length = number(len(payload))
    return bytes([short + 55 + len(length)]) + length + payload


def encode(item: Item) -> bytes:
    """The RLP form of a byte string or a (nested) list of them."""
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _with_length(item, 0x80)
    return _with_length(b"".join(encode(part) for part in item), 0xC0)


def _take(data: bytes, start: int, short: int) -> Tuple[int, int]:
    """Where the payload that begins at `start` lies: (first, end)."""
    size = data[start] - short
    first = start + 1
    if size > 55:
        first += size - 55
        size = int.from_bytes(data[start + 1 : first], "big")
    if first + size > len(data):
        raise ValueError("rlp: value size exceeds available input length")
    return first, first + size


def _decode_at(data: bytes, start: int) -> Tuple[Item, int]:
    if start >= len(data):
        raise ValueError("rlp: unexpected end of input")
    if data[start] < 0x80:
        return data[start : start + 1], start + 1
    if data[start] < 0xC0:
        first, end = _take(data, start, 0x80)
        return data[first:end], end
    first, end = _take(data, start, 0xC0)
    items: List[Item] = []
    while first < end:
        item, first = _decode_at(data, first)
        items.append(item)
    return items, end


def decode(data: bytes) -> Item:
    """The item that `data` is the RLP form of; ValueError when it is not exactly one."""
    item, end = _decode_at(data, 0)
    if end != len(data):
        raise ValueError("rlp: input contains more than one value")
    return item
