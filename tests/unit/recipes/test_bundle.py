"""The support bundle: it has what helps, nothing that is secret, and says what it lacks."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulated import fleet
from tests.simulated.disk import Entry
from tests.simulated.world import NODE, Simulation, settings, without_geth
from transcoder import archive, screen
from transcoder.errors import Refused, Unreachable
from transcoder.layout import GETH, LIVEPEER
from transcoder.recipes import bundle

CANARIES = {
    "keystore": "c1ph3r" + "ab" * 29,
    "private.conf": "canary-private-conf",
    "rpc": "canaryRpcKey0123456789",
    "aws id": "AKIAIOSFODNN7EXAMPLE",
    "aws secret": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYaB",
    "pem": "canaryPemBody",
    "password": "canaryPassword",
    "tag": "canaryTag",
    "lab secret": "canaryLabSecret",
}


def unpack(data: bytes) -> dict[str, str]:
    """Return the files of an archive by their path below its one directory."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {m.name.partition("/")[2]: tar.extractfile(m).read().decode() for m in tar.getmembers()}  # type: ignore[union-attr]


def seeded() -> Simulation:
    """A node in which a secret lies in every place where one can lie."""
    world = settings(
        aws={"endpoint_url": "http://127.0.0.1:1", "access_key_id": "lab", "secret_access_key": CANARIES["lab secret"]},
        livepeer={"environment": {"WEBHOOK_TOKEN": CANARIES["password"]}},
    )
    sim = Simulation(world)
    sim.node()
    machine, tree = sim.machine(NODE), sim.disk(LIVEPEER).needed().tree
    tree["/livepeer/private.conf"] = Entry(
        0o600, 2101, 2101, f"ethUrl https://x.test/{CANARIES['private.conf']}".encode()
    )
    for path, entry in tree.items():
        if "UTC--" in path:
            entry.data = json.dumps({"crypto": {"ciphertext": CANARIES["keystore"]}}).encode()
    machine.journal[LIVEPEER.service.unit] = [
        f"dial https://arb.example/v2/{CANARIES['rpc']}: 429",
        f"AWS_ACCESS_KEY_ID={CANARIES['aws id']} AWS_SECRET_ACCESS_KEY={CANARIES['aws secret']}",
        "-----BEGIN RSA PRIVATE KEY-----",
        CANARIES["pem"],
        "-----END RSA PRIVATE KEY-----",
        f"and then {CANARIES['lab secret']}",
    ]
    machine.journal[GETH.service.unit] = ["imported block 1000"]
    unit_files = dict(bundle.questions(sim.settings, bundle.Request()))["unit-files.txt"]
    machine.says[unit_files] = f"ExecStart=livepeer -ethPassword {CANARIES['password']} -v 6\nRestart=always\n"
    sim.cloud.tag(machine.instance_id, {"note": f"password={CANARIES['tag']}"})
    sim.forget()
    return sim


def test_no_secret_is_in_it_wherever_one_lay() -> None:
    made = bundle.collect(seeded().world, bundle.Request())
    files = unpack(made.archive())
    for name, canary in CANARIES.items():
        found = [path for path, text in files.items() if canary in text]
        assert found == [], f"{name} got through"
    assert dict(made.masked)["private key (PEM)"] == 1


def test_what_holds_secrets_is_not_even_read() -> None:
    sim = seeded()
    bundle.collect(sim.world, bundle.Request())
    read = [" ".join(c.argv) for c in sim.hosts.commands if c.argv[0] in ("cat", "find", "debugfs", "tar")]
    assert not [line for line in read if "private.conf" in line or "keystore" in line or "UTC--" in line]
    assert sim.hosts.mutations == []
    assert sim.cloud.mutations == []


def test_it_has_what_helps() -> None:
    files = unpack(bundle.collect(seeded().world, bundle.Request()).archive())
    assert json.loads(files["status.json"])[0]["node"] == NODE
    assert json.loads(files["ec2/instances.json"])[0]["tags"]["Name"] == NODE
    assert {"ec2/volumes.json", "ec2/addresses.json", "environment.json", "operator.json"} <= files.keys()
    assert "imported block 1000" in files[f"nodes/{NODE}/journal-geth.txt"]
    assert "Restart=always" in files[f"nodes/{NODE}/unit-files.txt"]
    for name in ("lsblk.json", "findmnt.json", "release.json"):
        assert json.loads(files[f"nodes/{NODE}/{name}"])
    assert f"nodes/{NODE}/units.txt" in files
    assert json.loads(files["environment.json"])["name"] == "simulated"


def test_the_manifest_lists_what_is_in_it_what_is_missing_and_what_never_is() -> None:
    sim = Simulation()
    fleet.furnish(sim, 3)
    sim.machine("tc002").faults.unreachable = True
    sim.cloud.set_state(sim.machine("tc003").instance_id, "stopped")
    made = bundle.collect(sim.world, bundle.Request())
    manifest = unpack(made.archive())["MANIFEST.txt"]
    assert "nodes/tc001/journal-livepeer.txt" in manifest or "nodes/tc001/units.txt" in manifest
    assert "nodes/tc002/release.json and what comes after it: tc002: no answer over SSH" in manifest
    assert "nodes/tc003/*: tc003 is stopped" in manifest
    for what, _ in bundle.NEVER:
        assert what in manifest


def test_one_node_of_many_can_be_asked_for() -> None:
    sim = Simulation()
    fleet.furnish(sim, 2)
    files = unpack(bundle.collect(sim.world, bundle.Request("tc002")).archive())
    assert {path.split("/")[1] for path in files if path.startswith("nodes/")} == {"tc002"}


def test_a_journal_is_bounded_and_its_end_is_kept() -> None:
    sim = Simulation()
    sim.node()
    sim.machine(NODE).journal[LIVEPEER.service.unit] = ["old " * 400] * 6000 + ["the newest line"]
    made = bundle.collect(sim.world, bundle.Request())
    part = next(part for part in made.parts if part.path.endswith("journal-livepeer.txt"))
    assert len(part.text) <= bundle.LARGEST
    assert part.text.endswith("the newest line\n")
    assert "its first" in part.note
    asked = next(c.argv for c in sim.hosts.commands if c.argv[0] == "journalctl" and LIVEPEER.service.unit in c.argv)
    assert asked[asked.index("--lines") + 1] == "2000"


def test_a_look_at_ec2_that_fails_is_missing_and_ends_nothing() -> None:
    sim = Simulation()
    sim.node()

    def silent(**_: object) -> None:
        raise Unreachable("no answer from EC2")

    sim.cloud.snapshots = silent  # type: ignore[method-assign, assignment]
    made = bundle.collect(sim.world, bundle.Request())
    assert [(part.path, part.note) for part in made.missing] == [("ec2/snapshots.json", "no answer from EC2")]


def test_a_node_without_a_geth_is_not_asked_about_one() -> None:
    names = [name for name, _ in bundle.questions(without_geth(), bundle.Request())]
    assert not [name for name in names if "geth" in name]


def test_the_file_is_its_owners_alone_and_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    archive.write_private(path, b"x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Refused, match="exists, and is not replaced"):
        archive.write_private(path, b"y")
    assert path.read_bytes() == b"x"
    with pytest.raises(Refused, match="cannot be written"):
        archive.write_private(tmp_path / "no" / "b.tar.gz", b"x")


def test_the_files_inside_are_their_owners_alone() -> None:
    sim = Simulation()
    sim.node()
    with tarfile.open(fileobj=io.BytesIO(bundle.collect(sim.world, bundle.Request()).archive())) as tar:
        assert {member.mode for member in tar.getmembers()} == {0o600}


def test_nothing_to_collect_is_refused() -> None:
    with pytest.raises(Refused, match="no node"):
        bundle.collect(Simulation().world, bundle.Request())
    with pytest.raises(Refused, match="'many'"):
        bundle.collect(Simulation().world, bundle.Request(lines="many"))


def test_the_result_says_where_it_is_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    sim = seeded()
    made = bundle.collect(sim.world, bundle.Request())
    made = replace(made, parts=(*made.parts, bundle.Part("nodes/x", "", "gone")))
    screen.print_bundle(made, Path("b.tar.gz"), json_output=False)
    captured = capsys.readouterr()
    assert captured.out.startswith("b.tar.gz: ")
    assert "missing: nodes/x: gone" in captured.err
    screen.print_bundle(made, Path("b.tar.gz"), json_output=True)
    read = json.loads(capsys.readouterr().out)
    assert read["missing"]["nodes/x"] == "gone"
    assert read["masked"]["private key (PEM)"] == 1
