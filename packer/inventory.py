"""What an image holds, as its machine said at the end of the bake. Pure: from text to frozen facts."""

from __future__ import annotations

from dataclasses import dataclass

from transcoder.errors import Failed


@dataclass(frozen=True)
class Package:
    """A Debian package that is installed, and the source package that it was built from."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str


@dataclass(frozen=True)
class Program:
    """A program in /usr/local/bin and its sha256."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Inventory:
    """Everything that the image holds beside what this project writes itself."""

    packages: tuple[Package, ...]
    programs: tuple[Program, ...]


def parse_packages(text: str) -> tuple[Package, ...]:
    """Return the packages of /etc/transcoder/packages.tsv.

    :raises Failed: for a line of another form: the list is broken off, or another script's.
    """
    lines = [line.split("\t") for line in text.splitlines()]
    bad = [line for line in lines if len(line) != 5 or not all(line)]
    if bad or not lines:
        raise Failed(f"the machine's list of packages has {bad[0] if bad else 'no line'}, which is no package")
    return tuple(Package(*line) for line in lines)


def parse_programs(text: str) -> tuple[Program, ...]:
    """Return the programs of /etc/transcoder/programs.sha256, which has sha256sum's form.

    :raises Failed: for a line of another form.
    """
    lines = [line.split() for line in text.splitlines()]
    bad = [line for line in lines if len(line) != 2 or len(line[0]) != 64]
    if bad or not lines:
        raise Failed(f"the machine's list of programs has {bad[0] if bad else 'no line'}, which is no program")
    return tuple(Program(name.lstrip("*"), sha256) for sha256, name in lines)
