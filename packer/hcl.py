"""Writes HCL2 from Python values with python-hcl2, which quotes nothing by itself.

Strings are escaped so that Packer reads back exactly what was given; an `Expression` is written as it stands.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import hcl2

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNESCAPES = {escape[1]: text for text, escape in _ESCAPES.items()}
_ATTRIBUTE = re.compile(r'( *)("(?:[^"\\]|\\.)*"|[\w-]+) *= (.*)')
_IDENTIFIER = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*")


@dataclass(frozen=True)
class Expression:
    """HCL that is not a value: ``source.amazon-ebs.node``, ``var.x``."""

    text: str


Scalar = str | int | bool | Expression
Value = Scalar | Sequence["Value"] | Mapping[str, "Value"]


@dataclass
class Block:
    """A block: ``kind "label" ... { attributes, blocks }``. Order is kept; a kind may come many times."""

    kind: str
    labels: tuple[str, ...] = ()
    attributes: dict[str, Value] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def block(self, kind: str, *labels: str, **attributes: Value) -> Block:
        """Add a block inside this one and return it."""
        child = Block(kind, labels, attributes)
        self.blocks.append(child)
        return child


def quote(text: str) -> str:
    r"""Return an HCL string literal, quotes included.

    The ``$`` of ``${`` and the ``%`` of ``%{``, which would start a template, become ``\u0024`` and ``\u0025``: of the
    usual ``$${`` python-hcl2 8.1 loses its way where no ``}`` follows. Control characters become ``\uNNNN`` too: HCL
    knows neither JSON's ``\b`` and ``\f`` nor its surrogate pairs.

    :raises ValueError: for text that HCL cannot give back: lone surrogates, NUL, and text that is not in Unicode
        normal form C, to which HCL changes every string.
    """
    if unicodedata.normalize("NFC", text) != text or "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError(f"{text!r} cannot be written as an HCL string")
    escaped = "".join(_ESCAPES.get(c, c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}") for c in text)
    return '"' + escaped.replace("${", "\\u0024{").replace("%{", "\\u0025{") + '"'


def unquote(literal: str) -> str:
    """Return the text of a literal made by `quote`."""
    escape = re.compile(r"\\(?:u([0-9a-f]{4})|(.))")
    return escape.sub(lambda match: chr(int(match[1], 16)) if match[1] else _UNESCAPES[match[2]], literal[1:-1])


def write(blocks: Sequence[Block]) -> str:
    """Return the HCL document of these blocks, in their order and in the form of ``packer fmt``."""
    builder = hcl2.Builder()
    for block in blocks:
        _build(builder, block)
    # No value spans lines: a line break in a string is written as an escape.
    text = "\n".join(_aligned([line.rstrip() for line in str(hcl2.dumps(builder.build())).split("\n")]))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def value(python: Value) -> Any:
    """Return a Python value in the form that python-hcl2 writes: every string a literal with its quotes."""
    match python:
        case Expression(text):
            return text
        case bool() | int():
            return python
        case str():
            return quote(python)
        case Mapping():
            return {key if _IDENTIFIER.fullmatch(key) else quote(key): value(item) for key, item in python.items()}
        case _:
            return [value(item) for item in python]


def _build(builder: Any, block: Block) -> None:
    attributes = {name: value(item) for name, item in block.attributes.items()}
    child = builder.block(block.kind, [quote(label) for label in block.labels], **attributes)
    for inner in block.blocks:
        _build(child, inner)


def _aligned(lines: list[str]) -> list[str]:
    """Return the lines with the ``=`` of neighbours in one column, as ``packer fmt`` has them.

    python-hcl2 aligns all attributes of a block; for fmt one whose value goes on in the next line has no neighbours.
    """
    return [line for _, group in itertools.groupby(lines, _alone_or_indent) for line in _in_column(list(group))]


def _alone_or_indent(line: str) -> int | str:
    """Return what neighbours have in common: their indent; a line that is not to be aligned has itself alone."""
    found = _ATTRIBUTE.fullmatch(line)
    return len(found[1]) if found and found[3] not in ("{", "[") else line


def _in_column(lines: list[str]) -> list[str]:
    parts = [found for line in lines if (found := _ATTRIBUTE.fullmatch(line))]
    if len(parts) < len(lines):
        return lines
    width = max(len(found[2]) for found in parts)
    return [f"{found[1]}{found[2]:<{width}} = {found[3]}" for found in parts]
