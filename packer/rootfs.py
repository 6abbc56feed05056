"""What is laid over the machine's files: ``files/rootfs`` as it stands, ``templates/rootfs`` rendered from settings.

A path there is the path on the machine. Of a file's mode only "executable" counts, which is all that git keeps.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from packer.programs import template_values
from packer.secrets import check_secrets
from packer.tarball import File
from packer.watch import watch_configuration
from transcoder import layout, shape
from transcoder.errors import Refused
from transcoder.settings import ROOT, Settings

FILES = ROOT / "files" / "rootfs"
TEMPLATES = ROOT / "templates"
WITH_GETH = {"etc/geth/geth.toml", "usr/local/lib/transcoder/wait-for-geth"}
WITHOUT_GETH = {"usr/local/lib/transcoder/new-account"}
"""With a geth that one makes the key."""
FETCHING = {layout.FETCH_PASSPHRASE.removeprefix("/")}
"""Where the machine fetches the passphrase of its key."""


def render_rootfs(settings: Settings, files: Path = FILES, templates: Path = TEMPLATES) -> dict[str, File]:
    """Return the files of the image by their path without the first slash.

    :raises Refused: when a path is both a file and a template, a template names what the settings do not have, or a
        file holds a secret.
    """
    left_out = _left_out(settings)
    baked = _collect(files, left_out, lambda path: path.read_bytes())
    environment = _environment(templates)
    values = context(settings)
    rendered = _collect(
        templates / "rootfs", left_out, lambda path: _render(environment, path.relative_to(templates), values)
    )
    twice = sorted(baked.keys() & rendered.keys())
    if twice:
        raise Refused("some paths are both in files/rootfs and in templates/rootfs", reasons=twice)
    check_secrets(baked, "files/rootfs")
    check_secrets(rendered, "templates/rootfs")
    return baked | rendered


def _left_out(settings: Settings) -> set[str]:
    """Return the files of what this image is not for."""
    absent = [volume for volume in layout.VOLUMES if volume not in shape.data_volumes(settings)]
    units = [unit for volume in absent for unit in (volume.mount_unit, volume.service.unit)]
    others = WITHOUT_GETH if shape.has_geth(settings) else WITH_GETH
    others = others if settings.keys.passphrase_store else others | FETCHING
    return {f"etc/systemd/system/{unit}" for unit in units} | others


def context(settings: Settings) -> dict[str, Any]:
    """Return the names that a template may use."""
    return {
        "settings": settings,
        "livepeer": layout.LIVEPEER,
        "geth": layout.GETH,
        "watch": watch_configuration(settings),
        "watch_user": layout.WATCH,
        "runtime_directory": layout.RUNTIME_DIRECTORY,
        "passphrase_file": layout.PASSPHRASE,
        "login_users": sorted({"root", settings.ssh.user}),
        **template_values(settings),
    }


def systemd_quoted(text: str) -> str:
    """Return an assignment for ``Environment=``: quoted, and with systemd's ``%`` specifiers switched off.

    :raises ValueError: for a line break, which a unit file cannot hold.
    """
    if "\n" in text or "\r" in text:
        raise ValueError(f"{text!r} has a line break")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def systemd_word(text: str) -> str:
    """Return a word of ``ExecStart=``: what means something to systemd there means itself, and blanks do not divide.

    :raises ValueError: for a line break, which a unit file cannot hold.
    """
    if "\n" in text or "\r" in text:
        raise ValueError(f"{text!r} has a line break")
    plain = text.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    if plain and not set(plain) & set(" \t\"';"):
        return plain
    return '"' + plain.replace('"', '\\"') + '"'


def toml_value(value: object) -> str:
    """Return a text, a number, a truth value or a list of texts as TOML: JSON's notation is the same for these."""
    return json.dumps(value)


def json_text(value: object) -> str:
    """Return a value as JSON for people."""
    return json.dumps(value, indent=2)


def _environment(templates: Path) -> Environment:
    environment = Environment(  # noqa: S701  unit files and TOML, not HTML: nothing is to be escaped for a browser
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["systemd_quoted"] = systemd_quoted
    environment.filters["systemd_word"] = systemd_word
    environment.filters["toml"] = toml_value
    environment.filters["json"] = json_text
    return environment


def _render(environment: Environment, name: Path, values: dict[str, Any]) -> bytes:
    try:
        return environment.get_template(name.as_posix()).render(values).encode()
    except (TemplateError, ValueError) as error:
        raise Refused(f"templates/{name}: {error}") from error


def _collect(directory: Path, left_out: set[str], read: Callable[[Path], bytes]) -> dict[str, File]:
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    names = {path.relative_to(directory).as_posix(): path for path in paths}
    return {
        name: File(read(path), 0o755 if path.stat().st_mode & 0o100 else 0o644)
        for name, path in names.items()
        if name not in left_out
    }
