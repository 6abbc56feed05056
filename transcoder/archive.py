"""Write a file that nobody but its owner may read, and that replaces nothing."""

from __future__ import annotations

import os
from pathlib import Path

from transcoder.errors import Refused


def write_private(path: Path, data: bytes) -> None:
    """Write a new file with mode 0600, whatever the umask.

    :raises Refused: when there is one of that name, or it cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Refused(f"{path} exists, and is not replaced", hint="name another file with --output") from error
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}", hint="name another one with --output") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
