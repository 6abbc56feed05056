"""The matrix's own environment: the shipped lab under another name, on a network and a port of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transcoder.settings import DIRECTORY

SHIPPED = {"name": "lab", "network": "172.31.210", "port": "5620"}


@dataclass(frozen=True)
class OwnLab:
    """A lab beside others. ``network`` is the first three numbers of its /24."""

    name: str = "matrix"
    network: str = "172.31.215"
    port: int = 5615


def write_environment(directory: Path, lab: OwnLab) -> Path:
    """Write the environment of a lab of one's own; return its path."""
    text = (DIRECTORY / "lab.toml").read_text(encoding="utf-8")
    changed = (
        text.replace(f"/var/lib/transcoder-lab/{SHIPPED['name']}/", f"/var/lib/transcoder-lab/{lab.name}/")
        .replace(f'\nname = "{SHIPPED["name"]}"', f'\nname = "{lab.name}"')
        .replace(SHIPPED["network"], lab.network)
        .replace(SHIPPED["port"], str(lab.port))
    )
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{lab.name}.toml"
    path.write_text(changed, encoding="utf-8")
    return path
