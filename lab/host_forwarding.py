"""What the lab changes in the host's own network: forwarding, and source NAT so that machines reach package mirrors.

Several labs may be up at once: the switch is put back, to what it was before the first, when the last is gone.
"""

from __future__ import annotations

import re
from pathlib import Path

from lab.command import run

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
# Lost at a reboot of the host, like the switch itself.
MEMORY = Path("/run/transcoder-lab/ip_forward.before")
PREFIX = "transcoder_lab_"


def enable(name: str, device: str, network: str) -> None:
    """Forward for the lab and hide its addresses behind the host's, towards everywhere but the host itself."""
    if not MEMORY.exists():
        MEMORY.parent.mkdir(parents=True, exist_ok=True)
        MEMORY.write_text(FORWARDING.read_text())
    FORWARDING.write_text("1")
    run("nft", "-f", "-", stdin=render_table(name, device, network))


def disable(name: str) -> None:
    """Remove the lab's table; when no other lab has one, put forwarding back to what it was."""
    if table_name(name) in _tables():
        run("nft", "delete", "table", "ip", table_name(name))
    if MEMORY.exists() and not _tables():
        FORWARDING.write_text(MEMORY.read_text())
        MEMORY.unlink()
        MEMORY.parent.rmdir()


def table_name(name: str) -> str:
    """Return the lab's table on the host; nft identifiers have no dash."""
    return PREFIX + name.replace("-", "_")


def render_table(name: str, device: str, network: str) -> str:
    """Return the input of ``nft -f`` for the host's table of one lab."""
    lines = [
        f"add table ip {table_name(name)}",
        f"delete table ip {table_name(name)}",
        f"table ip {table_name(name)} {{",
        "  chain postrouting {",
        "    type nat hook postrouting priority srcnat;",
        f'    ip saddr {network} ip daddr != {network} oifname != "{device}" masquerade',
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _tables() -> set[str]:
    return set(re.findall(rf"^table ip ({PREFIX}\w+)$", run("nft", "list", "tables"), flags=re.MULTILINE))
