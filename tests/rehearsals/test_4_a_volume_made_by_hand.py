"""`fab adopt`: volumes made by hand after the reference README become a node's, and nothing else on them changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.standins.common import keystore
from tests.rehearsals.rig import Rig

NODE = "tc007"
UBUNTU = 1000


def fill(disk: Path, directory: Path, tree: dict[str, str]) -> None:
    """Make an ext4 file system without a label that holds ``tree``, all of it owned by ubuntu."""
    for name, content in tree.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    subprocess.run(["chown", "--recursive", f"{UBUNTU}:{UBUNTU}", str(directory)], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-d", str(directory), str(disk)], check=True)


def test_a_node_of_the_reference_is_taken_over(rig: Rig, tmp_path: Path) -> None:
    rig.run("invoke", "launch", "--spare", "--name", NODE, "--yes")
    account = keystore.new_account(str(tmp_path / "key"), "", keystore.LIGHT)
    name, content, address = Path(account.path).name, Path(account.path).read_text(), f"0x{account.address.hex()}"
    livepeer, geth = rig.volume(), rig.volume()
    files = {f"livepeer/.lpData/keystore/{name}": content, "livepeer/logs/old.log": "2018\n"}
    fill(rig.disk(livepeer.id), tmp_path / "livepeer", files)
    fill(rig.disk(geth.id), tmp_path / "geth", {"geth-data/notes.txt": "kept\n"})

    for volume, role in ((livepeer, "livepeer"), (geth, "geth")):
        rig.run("fab", "adopt", "--node", NODE, "--volume", volume.id, "--role", role, "--instance", NODE, "--yes")
    rig.run("fab", "attach", "--node", NODE, "--instance", NODE, "--yes")

    found = rig.run("fab", "status", "--node", NODE, "--json").json[0]
    assert found["address"].lower() == address.lower()
    assert rig.on(NODE, "cat", "/d1/livepeer/logs/old.log") == "2018\n"
    assert rig.on(NODE, "cat", f"/d1/livepeer/.lpData/keystore/{name}") == content
    assert rig.on(NODE, "stat", "--format=%U", "/d1/livepeer/logs/old.log").strip() == "livepeer"
    assert rig.on(NODE, "stat", "--format=%U", "/d2/geth-data/notes.txt").strip() == "geth"
    again = rig.run("fab", "adopt", "--node", NODE, "--volume", geth.id, "--role", "geth", "--instance", NODE, "--yes")
    assert "nothing is to be done" in again.stdout
    rig.run("invoke", "terminate", "--node", NODE, "--instance", NODE, "--yes")
