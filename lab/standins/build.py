"""Builds release archives of the stand-ins with the names and the layout of the real ones.

The bytes depend on the sources alone (no time, owner, or compression library goes in), so that a digest of an archive
names what is in it, as with a real release.
"""

import argparse
import hashlib
import io
import os
import stat
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Dict, List

_SOURCES = Path(__file__).resolve().parent
GETH = "geth-linux-amd64-1.8.27-4bcc0a37"
LIVEPEERS = {"0.2.4": "livepeer_linux", "0.5.2": "livepeer-linux-amd64"}
"""The versions of livepeer, each with what its release's archive and the directory in it are called."""
_COPYING = """This is not go-ethereum. It is a stand-in for geth 1.8.27, made for rehearsals of node operations where
the real one cannot be downloaded; it holds no code of go-ethereum. See lab/standins/README.md of the project it is
from, and that project's LICENSE.
"""
_MAIN = """import sys

if sys.version_info < (3, 6):
    sys.exit("the stand-in needs Python 3.6 or later, this is " + sys.version)
try:
    from standins.{package}.main import {function}
except ImportError as error:
    if str(error.name or "").startswith("standins"):
        raise
    sys.exit("the stand-in needs the whole standard library (apt-get install python3): {{}}".format(error))
sys.exit({function}({arguments}))
"""


def _program(package: str, function: str, version: str = "") -> bytes:
    """One executable file: a line for the kernel, then a zip archive that Python runs.

    Of livepeer the same sources are several versions: its functions are told which.
    """
    arguments = "sys.argv[1:]" + (f", {version!r}" if version else "")
    names = ["__init__.py"]
    names += [path.relative_to(_SOURCES).as_posix() for part in ("common", package) for path in _modules(part)]
    main = _MAIN.format(package=package, function=function, arguments=arguments)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_zip_entry("__main__.py"), main)
        for name in sorted(names):
            archive.writestr(_zip_entry("standins/" + name), (_SOURCES / name).read_bytes())
    return b"#!/usr/bin/env python3\n" + buffer.getvalue()


def _modules(part: str) -> List[Path]:
    return sorted((_SOURCES / part).glob("*.py"))


def _zip_entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.create_system = 3
    return entry


def _tar(directory: str, files: Dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        top = tarfile.TarInfo(directory)
        top.type, top.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(top)
        for name in sorted(files):
            member = tarfile.TarInfo(f"{directory}/{name}")
            member.size, member.mode = len(files[name]), 0o644 if name == "COPYING" else 0o755
            archive.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()


def _gzip(data: bytes) -> bytes:
    """Gzip without compressing: which bytes zlib makes differs between its versions, stored blocks do not."""
    blocks = [data[at : at + 65535] for at in range(0, len(data), 65535)]
    body = b""
    for number, block in enumerate(blocks):
        size = len(block)
        body += struct.pack("<BHH", number == len(blocks) - 1, size, size ^ 0xFFFF) + block
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def build(directory: Path) -> Dict[str, Path]:
    """Write the archives, each with a `.sha256` file beside it (as `sha256sum` prints it), and return their paths.

    The keys are "geth", "livepeer" (0.2.4) and "livepeer 0.5.2". The directory is made when it is missing; archives
    that are there are replaced.
    """
    contents = {"geth": (GETH, {"COPYING": _COPYING.encode(), "geth": _program("geth_node", "main")})}
    for version, top in LIVEPEERS.items():
        programs = {"livepeer": "main", "livepeer_cli": "cli_main"}
        files = {name: _program("livepeer_node", function, version) for name, function in programs.items()}
        contents["livepeer" if version == "0.2.4" else f"livepeer {version}"] = top, files
    directory.mkdir(parents=True, exist_ok=True)
    paths = {}
    for program, (top, files) in contents.items():
        path = directory / f"{top}.tar.gz"
        data = _gzip(_tar(top, files))
        _replace(path, data)
        digest = hashlib.sha256(data).hexdigest()
        _replace(directory / f"{path.name}.sha256", f"{digest}  {path.name}\n".encode())
        paths[program] = path
    return paths


def _replace(path: Path, data: bytes) -> None:
    """Write a file at once: another lab may be baking from it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(data)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def main() -> None:
    """`python3 -m lab.standins.build DIRECTORY`: build, and print what was built."""
    parser = argparse.ArgumentParser(description="Build release archives of the geth and livepeer stand-ins.")
    parser.add_argument("directory", type=Path, help="where to put the archives")
    for path in build(parser.parse_args().directory).values():
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
