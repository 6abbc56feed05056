"""What `fab logs` tells of a machine that has written more than is asked for."""

from __future__ import annotations

import re

from tests.rehearsals.rig import Rig

NUMBER = re.compile(r"Imported new block headers .*number=(\d+)")


def test_the_newest_lines_are_told_and_no_older_ones(node: Rig) -> None:
    before = node.status()["chain"]["head"]

    told = node.run("fab", "logs", "--unit", "geth", "--lines", "3").stdout.splitlines()

    assert len(told) == 3
    numbers = [int(match[1]) for match in map(NUMBER.search, told) if match]
    assert numbers[-1] > before - 3, f"{told}; the head was {before}"
