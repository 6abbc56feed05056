"""Command line flags as Go's package flag reads them: -a b, -a=b, --a b; the first other word ends the flags."""

import re
from typing import Any, Dict, List, NamedTuple, Sequence


class Flag(NamedTuple):
    """One flag; `kind` is "string", "int", "bool" or "duration"."""

    name: str
    kind: str
    default: Any
    usage: str = ""


class FlagError(ValueError):
    """The command line is not understood; the text is Go's."""


class HelpRequested(Exception):
    """-h or -help was given."""


class Parsed(NamedTuple):
    """All values (defaults filled in), the names that were given, and the words after the flags."""

    values: Dict[str, Any]
    given: List[str]
    words: List[str]


_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


def _convert(flag: Flag, text: str) -> Any:
    if flag.kind == "string":
        return text
    if flag.kind == "bool":
        if text in _TRUE + _FALSE:
            return text in _TRUE
        form = 'invalid boolean value "{0}" for -{1}: strconv.ParseBool: parsing "{0}": invalid syntax'
        raise FlagError(form.format(text, flag.name))
    if flag.kind == "duration" and re.match(r"^(\d+(\.\d+)?(ns|us|ms|s|m|h))+$|^0$", text):
        return text
    if flag.kind == "int" and re.match(r"^[+-]?(0[xX][0-9a-fA-F]+|\d+)$", text):
        return int(text, 16 if "x" in text.lower() else 10)
    form = 'invalid value "{0}" for flag -{1}: strconv.ParseInt: parsing "{0}": invalid syntax'
    raise FlagError(form.format(text, flag.name))


def parse(flags: Sequence[Flag], arguments: Sequence[str]) -> Parsed:
    """Read `arguments`; FlagError in Go's words, HelpRequested for -h and -help."""
    table = {flag.name: flag for flag in flags}
    values: Dict[str, Any] = {flag.name: flag.default for flag in flags}
    given: List[str] = []
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, text = word[2 if word.startswith("--") else 1 :].partition("=")
        if not name or name.startswith("-"):
            raise FlagError("bad flag syntax: " + word)
        if name not in table:
            if name in ("h", "help"):
                raise HelpRequested
            raise FlagError("flag provided but not defined: -" + name)
        flag = table[name]
        if flag.kind == "bool" and not equals:
            text = "true"
        elif not equals:
            if not rest:
                raise FlagError("flag needs an argument: -" + name)
            text = rest.pop(0)
        values[name] = _convert(flag, text)
        given.append(name)
    return Parsed(values, given, rest)


def usage(program: str, flags: Sequence[Flag]) -> str:
    """What Go's flag package prints for -help and after an error."""
    lines = [f"Usage of {program}:"]
    for flag in sorted(flags, key=lambda flag: flag.name):
        kind = "" if flag.kind == "bool" else " " + flag.kind
        shown = f'"{flag.default}"' if flag.kind == "string" else flag.default
        default = f" (default {shown})" if flag.default not in ("", 0, False) else ""
        lines.append(f"  -{flag.name}{kind}\n    \t{flag.usage}{default}")
    return "\n".join(lines) + "\n"
