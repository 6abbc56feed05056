"""The firewall's script, with tools in the place of iptables that write down what they are told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.unit.image.rendered import SCRIPTS

RULES = "*filter\nCOMMIT\n"
TOOLS = ("iptables", "ip6tables", "iptables-restore", "ip6tables-restore")
LEGACY = ("iptables-legacy", "ip6tables-legacy", "iptables-legacy-restore", "ip6tables-legacy-restore")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory with the script, its rules and the tools of Ubuntu 18.04."""
    (tmp_path / "rules").write_text(RULES)
    text = (SCRIPTS / "firewall").read_text()
    (tmp_path / "firewall").write_text(text.replace("/etc/transcoder/firewall.rules", str(tmp_path / "rules")))
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        put_tool(tmp_path, tool)
    return tmp_path


def put_tool(machine: Path, name: str, *, works: bool = True) -> None:
    """Put a tool there. As the real one it finds no rule to delete, and no chain to empty."""
    status = "case $* in *--delete*|*--flush*) exit 1;; esac" if works else "exit 1"
    path = machine / "bin" / name
    path.write_text(f'#!/bin/sh\necho "{name} $*" >>{machine}/told\n{status}\n')
    path.chmod(0o755)


def run(machine: Path, *words: str) -> tuple[int, list[str]]:
    """Run the script; return its exit status and what the tools were told."""
    path = f"{machine}/bin:/usr/bin:/bin"
    done = subprocess.run(
        ["sh", str(machine / "firewall"), *words], env={"PATH": path}, capture_output=True, text=True, check=False
    )
    told = machine / "told"
    return done.returncode, told.read_text().splitlines() if told.exists() else []


def test_on_loads_the_rules_for_both_families_beside_those_of_others(machine: Path) -> None:
    assert run(machine, "on") == (0, ["iptables-restore --noflush", "ip6tables-restore --noflush"])


def test_a_kernel_without_nf_tables_gets_the_rules_by_the_older_interface(machine: Path) -> None:
    for tool in TOOLS:
        put_tool(machine, tool, works=False)
    for tool in LEGACY:
        put_tool(machine, tool)

    status, told = run(machine, "on")

    assert status == 0
    assert told[-1] == "ip6tables-legacy-restore --noflush"


def test_rules_that_cannot_be_loaded_are_an_error(machine: Path) -> None:
    put_tool(machine, "iptables-restore", works=False)

    assert run(machine, "on")[0] != 0


def test_off_touches_its_own_chains_only_and_is_safe_twice(machine: Path) -> None:
    status, told = run(machine, "off")

    assert status == 0
    assert told
    assert [line for line in told if "TRANSCODER-" not in line] == []


@pytest.mark.parametrize("words", [(), ("start",)])
def test_another_word_is_refused_and_nothing_is_done(machine: Path, words: tuple[str, ...]) -> None:
    assert run(machine, *words) == (2, [])
