"""WebSocket frames (RFC 6455), as much of them as JSON-RPC needs: text messages, ping, close."""

import base64
import hashlib
import os
import socket
import struct
from io import BufferedIOBase
from typing import Optional, Tuple

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_LARGEST = 32 * 1024 * 1024


def accept_key(key: str) -> str:
    """What a server answers to Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324 - the RFC says SHA-1


class WebSocket:
    """One side of an established connection; a client masks what it sends."""

    def __init__(self, reader: BufferedIOBase, connection: socket.socket, is_client: bool) -> None:
        self._reader = reader
        self._connection = connection
        self._is_client = is_client

    def send(self, text: str) -> None:
        """Send one text message."""
        self._send_frame(_TEXT, text.encode())

    def receive(self) -> Optional[str]:
        """The next text message; None when the other side closed."""
        message = b""
        while True:
            final, kind, payload = self._read_frame()
            if kind == _CLOSE:
                return None
            if kind == _PING:
                self._send_frame(_PONG, payload)
            elif kind in (_TEXT, _BINARY, _CONTINUATION):
                message += payload
                if final:
                    return message.decode()

    def close(self) -> None:
        """Hang up without a closing handshake."""
        self._reader.close()
        self._connection.close()

    def _send_frame(self, kind: int, payload: bytes) -> None:
        mask = os.urandom(4) if self._is_client else b""
        flag = 0x80 if mask else 0
        if len(payload) < 126:
            length = struct.pack("!B", flag | len(payload))
        elif len(payload) < 65536:
            length = struct.pack("!BH", flag | 126, len(payload))
        else:
            length = struct.pack("!BQ", flag | 127, len(payload))
        self._connection.sendall(bytes([0x80 | kind]) + length + mask + _masked(payload, mask))

    def _read_exactly(self, count: int) -> bytes:
        data = self._reader.read(count)
        if len(data) < count:
            raise ConnectionError("the connection ended inside a WebSocket frame")
        return data

    def _read_frame(self) -> Tuple[bool, int, bytes]:
        first = self._reader.read(1)
        if not first:
            return True, _CLOSE, b""
        second = self._read_exactly(1)[0]
        length = second & 0x7F
        if length == 126:
            length = struct.unpack("!H", self._read_exactly(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self._read_exactly(8))[0]
        if length > _LARGEST:
            raise ConnectionError(f"a WebSocket frame of {length} bytes is too long")
        mask = self._read_exactly(4) if second & 0x80 else b""
        return bool(first[0] & 0x80), first[0] & 0x0F, _masked(self._read_exactly(length), mask)


def _masked(payload: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if mask else payload


def connect(host: str, port: int, path: str, origin: str, timeout: float) -> WebSocket:
    """Open a client connection; ConnectionError with the server's status line when it refuses."""
    connection = socket.create_connection((host, port), timeout=timeout)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET {} HTTP/1.1".format(path or "/"),
        f"Host: {host}:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: " + key,
        "Sec-WebSocket-Version: 13",
        "Origin: " + origin,
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    reader = connection.makefile("rb")
    status = reader.readline().decode("latin-1").strip()
    headers = {}
    for raw in iter(reader.readline, b"\r\n"):
        if not raw:
            break
        name, _, value = raw.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if " 101 " not in status + " " or headers.get("sec-websocket-accept") != accept_key(key):
        reader.close()
        connection.close()
        raise ConnectionError(f"websocket.Dial ws://{host}:{port}: bad status: {status}")
    return WebSocket(reader, connection, is_client=True)
