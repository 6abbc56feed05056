"""Several commands in one exchange with a machine: a POSIX shell script, and its output taken apart again. Pure.

A command over SSH costs a tenth of a second and more before it begins (channel, login session, sudo), which is what
most of a look at a machine takes. Each output is followed by a line with a token that nobody can guess and the exit
code, on both streams, so that no output can be mistaken for an end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from transcoder.errors import Failed
from transcoder.world import Command, Output, command_line

LAST_CODE = 255


def render_batch(commands: Sequence[Command], token: str) -> str:
    """Return the script: each command with nothing on its standard input, until one ends with a code not its ``ok``.

    :param token: letters and digits that no output contains.
    """
    lines = []
    for command in commands:
        good = "*" if len(command.ok) > LAST_CODE else "|".join(str(code) for code in command.ok)
        lines.append(
            f"{command_line(command.argv)} </dev/null; code=$?; "
            f"printf '\\n{token} %s\\n' $code; printf '\\n{token}\\n' >&2; case $code in {good}) ;; *) exit 0;; esac"
        )
    return "\n".join(lines)


def parse_batch(commands: Sequence[Command], token: str, stdout: str, stderr: str) -> tuple[Output, ...]:
    """Return the outputs of the commands that ran, in their order: fewer than were given when one ended badly.

    :raises Failed: when the output has no end of a command, so that the shell itself did not get that far.
    """
    *outs, rest = re.split(rf"\n{token} (\d+)\n", stdout)
    errs = stderr.split(f"\n{token}\n")
    texts, codes = outs[0::2], outs[1::2]
    if not codes or rest or len(errs) != len(texts) + 1:
        raise Failed(f"a batch of {len(commands)} commands broke off: {stderr.strip()[-500:]!r}")  # stdout may be a key
    return tuple(
        Output(command.argv, int(code), text, error)
        for command, code, text, error in zip(commands, codes, texts, errs, strict=False)
    )
