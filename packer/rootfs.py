"""What is laid over the machine's files: ``files/rootfs`` as it stands, ``templates/rootfs`` rendered from settings.

A path there is the path on the machine. Of a file's mode only "executable" counts, which is all that git keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from packer.programs import geth_values, livepeer_flags
from packer.tarball import File
from transcoder import layout
from transcoder.errors import Refused
from transcoder.settings import ROOT, Settings

FILES = ROOT / "files" / "rootfs"
TEMPLATES = ROOT / "templates"


def render_rootfs(settings: Settings, files: Path = FILES, templates: Path = TEMPLATES) -> dict[str, File]:
    """Return the files of the image by their path without the first slash.

    :raises Refused: when a path is both a file and a template, or a template names what the settings do not have.
    """
    baked = _collect(files, lambda path: path.read_bytes())
    environment = _environment(templates)
    values = context(settings)
    rendered = _collect(templates / "rootfs", lambda path: _render(environment, path.relative_to(templates), values))
    twice = sorted(baked.keys() & rendered.keys())
    if twice:
        raise Refused("some paths are both in files/rootfs and in templates/rootfs", reasons=twice)
    return baked | rendered


def context(settings: Settings) -> dict[str, Any]:
    """Return the names that a template may use."""
    return {
        "settings": settings,
        "livepeer": layout.LIVEPEER,
        "geth": layout.GETH,
        "livepeer_flags": livepeer_flags(settings.livepeer),
        "login_users": sorted({"root", settings.ssh.user}),
        **geth_values(settings),
    }


def systemd_quoted(text: str) -> str:
    """Return an assignment for ``Environment=``: quoted, and with systemd's ``%`` specifiers switched off.

    :raises ValueError: for a line break, which a unit file cannot hold.
    """
    if "\n" in text or "\r" in text:
        raise ValueError(f"{text!r} has a line break")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _environment(templates: Path) -> Environment:
    environment = Environment(  # noqa: S701  unit files and TOML, not HTML: nothing is to be escaped for a browser
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["systemd_quoted"] = systemd_quoted
    return environment


def _render(environment: Environment, name: Path, values: dict[str, Any]) -> bytes:
    try:
        return environment.get_template(name.as_posix()).render(values).encode()
    except (TemplateError, ValueError) as error:
        raise Refused(f"templates/{name}: {error}") from error


def _collect(directory: Path, read: Callable[[Path], bytes]) -> dict[str, File]:
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {
        path.relative_to(directory).as_posix(): File(read(path), 0o755 if path.stat().st_mode & 0o100 else 0o644)
        for path in paths
    }
