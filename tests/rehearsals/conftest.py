"""One lab and one baked image for all rehearsals: they run in the order in which they stand."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.rehearsals.rig import NODE, Rig, running, write_environment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fail, rather than skip, where there is no root: a rehearsal that did not run is no proof."""
    if items and os.geteuid() != 0 and any("rehearsals" in str(item.path) for item in items):
        pytest.exit("rehearsals need root: they make network namespaces and machines (sudo script/test)", 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let continuous integration leave out what takes long and is much the same."""
    parser.addoption(
        "--thorough",
        action="store_true",
        help="keys: kill restores at every point, a second node, a fetched passphrase",
    )


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Bring the lab up with a freshly baked image; take it down at the end and see that nothing is left."""
    directory = tmp_path_factory.mktemp("rehearsal")
    made = Rig(write_environment(directory), write_environment(directory, "bake"))
    with running(made):
        yield made


@pytest.fixture(scope="session")
def node(rig: Rig) -> Rig:
    """A node that runs: launched, with its volumes and its key."""
    rig.run("invoke", "launch", "--yes")
    rig.run("fab", "create-key", "--yes")
    assert rig.status()["healthy"], rig.run("fab", "status").said
    assert rig.node().carrier == rig.instance(NODE)
    return rig
