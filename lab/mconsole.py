"""A small client of the management console of a User-Mode-Linux machine.

``uml_mconsole`` of uml-utilities can hang for ever when the machine does; this client has a deadline. The protocol is
one datagram there and one or more back (Linux: arch/um/drivers/mconsole.h).
"""

from __future__ import annotations

import socket
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

from transcoder.errors import TranscoderError, Unreachable

MAGIC = 0xCAFEBABE
VERSION = 2
MAX_DATA = 512
REQUEST = struct.Struct(f"<III{MAX_DATA}s")
REPLY_HEADER = struct.Struct("<iII")


class MconsoleError(TranscoderError):
    """The machine refused a command of its management console.

    :param code: the kernel's answer; the driver's errno, negative, where it gives one.
    """

    def __init__(self, command: str, code: int, text: str) -> None:
        super().__init__(f"the machine refused {command!r}: {text} ({code})")
        self.code = code
        self.text = text


@dataclass(frozen=True)
class Reply:
    """One datagram of an answer; ``more`` says that another follows."""

    error: int
    more: bool
    text: str


def render_request(command: str) -> bytes:
    """Return the datagram of a command.

    :raises ValueError: it is longer than the 511 bytes that the kernel keeps.
    """
    data = command.encode()
    if len(data) >= MAX_DATA:
        raise ValueError(f"a command of the management console has at most {MAX_DATA - 1} bytes, this has {len(data)}")
    return REQUEST.pack(MAGIC, VERSION, len(data), data)


def parse_reply(datagram: bytes) -> Reply:
    """Read a datagram of an answer.

    :raises ValueError: it is shorter than its header.
    """
    if len(datagram) < REPLY_HEADER.size:
        raise ValueError(f"an answer of {len(datagram)} bytes is no answer of a management console")
    error, more, length = REPLY_HEADER.unpack_from(datagram)
    text = datagram[REPLY_HEADER.size : REPLY_HEADER.size + length].decode(errors="replace").strip("\0\n")
    return Reply(error, bool(more), text)


def request(console: Path, command: str, timeout: float) -> str:
    """Send a command and return the answer.

    :param console: the machine's socket, ``<uml_dir>/<umid>/mconsole``.
    :param timeout: seconds without a datagram.
    :raises MconsoleError: the machine refused.
    :raises Unreachable: there is no machine, or it does not answer.
    """
    # The reply goes to a path: an abstract address is not seen across network namespaces.
    own_address = console.parent.parent / f"reply-{uuid.uuid4().hex[:12]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.bind(str(own_address))
        try:
            client.settimeout(timeout)
            client.sendto(render_request(command), str(console))
            return _collect(client, command)
        except OSError as error:
            raise Unreachable(f"the machine's management console does not answer {command!r}: {error}") from error
        finally:
            own_address.unlink()


def _collect(client: socket.socket, command: str) -> str:
    texts = []
    while True:
        reply = parse_reply(client.recv(REPLY_HEADER.size + MAX_DATA))
        texts.append(reply.text)
        if not reply.more:
            break
    if reply.error:
        raise MconsoleError(command, reply.error, "".join(texts))
    return "".join(texts)
