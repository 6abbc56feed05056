"""AES-128 in counter mode, in plain Python: a key file's ciphertext is 32 bytes long, so speed does not matter."""

from typing import List


def _double(value: int) -> int:
    return (value << 1) ^ (0x11B if value & 0x80 else 0)


def _make_box() -> List[int]:
    box = [0] * 256
    p = q = 1
    while True:
        p = (p ^ _double(p)) & 0xFF  # times 3 in GF(2^8)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        if q & 0x80:
            q ^= 0x09
        rotated = q | q << 8
        box[p] = (q ^ (rotated >> 7) ^ (rotated >> 6) ^ (rotated >> 5) ^ (rotated >> 4) ^ 0x63) & 0xFF
        if p == 1:
            box[0] = 0x63
            return box


_BOX = _make_box()


def _round_keys(key: bytes) -> List[List[int]]:
    words = [list(key[i : i + 4]) for i in range(0, 16, 4)]
    constant = 1
    for i in range(4, 44):
        word = list(words[i - 1])
        if i % 4 == 0:
            word = [_BOX[value] for value in word[1:] + word[:1]]
            word[0] ^= constant
            constant = _double(constant)
        words.append([a ^ b for a, b in zip(words[i - 4], word)])
    return [[byte for word in words[4 * i : 4 * i + 4] for byte in word] for i in range(11)]


def _mix(column: List[int]) -> List[int]:
    every = column[0] ^ column[1] ^ column[2] ^ column[3]
    return [column[i] ^ every ^ _double(column[i] ^ column[(i + 1) % 4]) for i in range(4)]


def _encrypt_block(keys: List[List[int]], block: bytes) -> bytes:
    state = [a ^ b for a, b in zip(block, keys[0])]
    for number in range(1, 11):
        state = [_BOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]  # substitute bytes and shift rows
        if number < 10:
            state = [byte for i in range(0, 16, 4) for byte in _mix(state[i : i + 4])]
        state = [a ^ b for a, b in zip(state, keys[number])]
    return bytes(state)


def aes_128_ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Encrypt or decrypt `data` (the same thing in counter mode) with a 16-byte key and a 16-byte first counter."""
    if len(key) != 16 or len(iv) != 16:
        raise ValueError("aes-128-ctr takes a key and an iv of 16 bytes each")
    keys = _round_keys(key)
    counter, result = int.from_bytes(iv, "big"), b""
    for start in range(0, len(data), 16):
        stream = _encrypt_block(keys, (counter % (1 << 128)).to_bytes(16, "big"))
        result += bytes(a ^ b for a, b in zip(data[start : start + 16], stream))
        counter += 1
    return result
