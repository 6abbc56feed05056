"""Keeps secrets out of the image while they are still on the operator's machine: nothing is started with one.

What secrets look like is told in one place, in the proof that runs inside the machine after the bake.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from packer.tarball import File
from transcoder.errors import Refused
from transcoder.settings import ROOT

PATTERNS = ROOT / "files/rootfs/usr/local/lib/transcoder/proof/patterns.py"


def check_secrets(files: Mapping[str, File], directory: str) -> None:
    """Refuse files that hold a secret, all of them at once. What is found is named, never quoted.

    :param files: by their path in ``directory``, which stands before it in the message.
    :raises Refused: with the path of each and what it looks like.
    """
    in_name, in_content = _kinds("kinds_of_name"), _kinds("kinds")
    reasons = [
        f"{directory}/{path}: {kind}"
        for path, file in sorted(files.items())
        for kind in (*in_name(path), *in_content(file.content))
    ]
    if reasons:
        hint = "take it out of the files, and out of the repository's history: keys live on the node's volume alone"
        raise Refused("a secret would be baked into the image", reasons=reasons, hint=hint)


@cache
def _kinds(name: str) -> Callable[[str | bytes], list[str]]:
    """Return a function of the machine's patterns: one file for both sides, so that they cannot differ."""
    spec = importlib.util.spec_from_file_location("transcoder_secret_patterns", Path(PATTERNS))
    if spec is None or spec.loader is None:
        raise FileNotFoundError(PATTERNS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[str | bytes], list[str]] = getattr(module, name)
    return function
