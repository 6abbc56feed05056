"""What the installed Packer can do. Two kinds are written for: 1.6 (Debian 12) and 1.11 or later (HashiCorp)."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from transcoder.errors import Refused

OLDEST = (1, 6)
WITH_PLUGINS = (1, 11)
"""The first that loads plugins as they are installed today; those between have others, or bugs of their own."""
HINT = "install Packer: `apt-get install packer` on Debian 12, or https://developer.hashicorp.com/packer/install"


@dataclass(frozen=True, order=True)
class Packer:
    """A version of Packer and what its amazon-ebs builder knows.

    Sources: Packer's CHANGELOG.md, and packer-plugin-amazon's from the time that plugins are separate.
    """

    major: int
    minor: int
    patch: int = 0

    @property
    def needs_plugins(self) -> bool:
        """Plugins are fetched by ``packer init``: every bundled one was removed in 1.10, ``init`` came with 1.7."""
        return (self.major, self.minor) >= (1, 7)

    @property
    def has_metadata_options(self) -> bool:
        """The build instance can be told to take IMDSv2 only, and the AMI too (plugin 1.2.2)."""
        return self.needs_plugins

    @property
    def has_key_type(self) -> bool:
        """``temporary_key_pair_type`` does something: 1.6 takes it and makes an RSA key all the same."""
        return self.needs_plugins

    @property
    def finds_deprecated(self) -> bool:
        """``source_ami_filter`` has ``include_deprecated`` (plugin 1.2.8)."""
        return self.needs_plugins

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def parse_version(output: str) -> Packer:
    """Return the version that ``packer version`` printed.

    :raises Refused: when it is no version, or one too old to read HCL.
    """
    match = re.search(r"Packer v(\d+)\.(\d+)\.(\d+)", output)
    if not match:
        raise Refused(f"`packer version` says {output.strip()!r}, not a version", hint=HINT)
    return _written_for(Packer(*(int(part) for part in match.groups())))


def named_version(text: str) -> Packer:
    """Return the version that somebody asks for: ``1.6``, ``1.11``, ``1.14.2``.

    :raises Refused: when it is no version, or one that this recipe is not written for.
    """
    match = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not match:
        raise Refused(f"{text!r} is no version of Packer", hint="--packer-version 1.6, or --packer-version 1.11")
    return _written_for(Packer(*(int(part or 0) for part in match.groups())))


def _written_for(found: Packer) -> Packer:
    minor = (found.major, found.minor)
    if minor < OLDEST:
        raise Refused(f"Packer {found} is too old: 1.6 is the first that this recipe is written for", hint=HINT)
    if OLDEST < minor < WITH_PLUGINS:
        raise Refused(f"Packer {found}: this recipe is written for 1.6, and for 1.11 and later", hint=HINT)
    return found


def observe_packer() -> Packer:
    """Return the version of the installed Packer.

    :raises Refused: when there is none, or it is too old.
    """
    program = shutil.which("packer")
    if program is None:
        raise Refused("there is no `packer` on the PATH", hint=HINT)
    result = subprocess.run([program, "version"], capture_output=True, text=True, timeout=60, check=False)
    return parse_version(result.stdout)
