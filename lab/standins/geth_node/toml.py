"""A reader of the TOML that geth's configuration files use: tables, plain values, arrays, comments."""

import re
from typing import Any, List, NamedTuple, Pattern, Tuple


class Entry(NamedTuple):
    """One key with its value, or (key "") one table header; `table` is the dotted path, `line` counts from 1."""

    table: Tuple[str, ...]
    key: str
    value: Any
    line: int


class TomlError(ValueError):
    """The text is not TOML. `line` is where."""

    def __init__(self, line: int, message: str = "invalid TOML syntax") -> None:
        super().__init__(message)
        self.line = line


_NUMBER = re.compile(r"[+-]?\d[\d_]*(\.\d+)?([eE][+-]?\d+)?")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\", "/": "/"}
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def fail(self) -> TomlError:
        return TomlError(self.line)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip(self, newlines: bool) -> None:
        """Pass over blanks and comments, over line ends only where they mean nothing."""
        while self.peek():
            if self.peek() == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.peek() in (" \t\r\n" if newlines else " \t\r"):
                self.at += 1
            else:
                return

    def take(self, expected: str) -> None:
        if not self.text.startswith(expected, self.at):
            raise self.fail()
        self.at += len(expected)

    def match(self, pattern: "Pattern[str]") -> str:
        found = pattern.match(self.text, self.at)
        if not found:
            raise self.fail()
        self.at = found.end()
        return found.group()


def _string(reader: _Reader) -> str:
    quote = reader.peek()
    reader.take(quote)
    result = ""
    while reader.peek() != quote:
        character = reader.peek()
        if character in ("", "\n"):
            raise reader.fail()
        reader.at += 1
        if character == "\\" and quote == '"':
            character = _ESCAPES.get(reader.peek(), "")
            if not character:
                raise reader.fail()
            reader.at += 1
        result += character
    reader.take(quote)
    return result


def _array(reader: _Reader) -> List[Any]:
    reader.take("[")
    values: List[Any] = []
    reader.skip(newlines=True)
    while reader.peek() != "]":
        values.append(_value(reader))
        reader.skip(newlines=True)
        if reader.peek() != ",":
            break
        reader.take(",")
        reader.skip(newlines=True)
    reader.take("]")
    return values


def _value(reader: _Reader) -> Any:
    if reader.peek() in ('"', "'"):
        return _string(reader)
    if reader.peek() == "[":
        return _array(reader)
    for word, value in (("true", True), ("false", False)):
        if reader.text.startswith(word, reader.at):
            reader.take(word)
            return value
    text = reader.match(_NUMBER).replace("_", "")
    return int(text) if re.match(r"^[+-]?\d+$", text) else float(text)


def _table(reader: _Reader) -> Tuple[str, ...]:
    reader.take("[")
    path = []
    while True:
        reader.skip(newlines=False)
        path.append(reader.match(_BARE))
        reader.skip(newlines=False)
        if reader.peek() != ".":
            break
        reader.take(".")
    reader.take("]")
    return tuple(path)


def parse(text: str) -> List[Entry]:
    """Every table header and key of the text in their order; TomlError with the line when it is not TOML."""
    reader = _Reader(text)
    table: Tuple[str, ...] = ()
    entries = []
    reader.skip(newlines=True)
    while reader.peek():
        line = reader.line
        if reader.peek() == "[":
            table = _table(reader)
            entries.append(Entry(table, "", None, line))
        else:
            key = _string(reader) if reader.peek() == '"' else reader.match(_BARE)
            reader.skip(newlines=False)
            reader.take("=")
            reader.skip(newlines=False)
            entries.append(Entry(table, key, _value(reader), line))
        reader.skip(newlines=False)
        if reader.peek() not in ("", "\n"):
            raise reader.fail()
        reader.skip(newlines=True)
    return entries
