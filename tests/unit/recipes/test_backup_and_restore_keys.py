"""Backup and restore: byte by byte, the key last, never over another one, never in two places."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.disk import KEY, KEY_FILE, KEYSTORE, Entry, key_content, key_files, ours
from tests.simulated.world import NODE, Console, Simulation, perform, settings
from transcoder import operate, tags
from transcoder.actions.keys import backup_name, find_claim
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.facts.bundle import parse_bundle, render_bundle
from transcoder.facts.claim import Claim, render_claim
from transcoder.layout import GETH, LIVEPEER, MARKER
from transcoder.recipes import attach, backup_keys, restore_keys
from transcoder.secret import Secret

OTHER = "0x" + "ab" * 20
DEAD_PROCESS = 2**22 + 1
KEYS_JSON, DATABASE = "/livepeer/.lpData/keys.json", "/livepeer/.lpData/lp.sqlite3"
BACKUP = backup_name(KEY)
PATH = f"{KEYSTORE}/{KEY_FILE}"


def node(address: str = KEY) -> Simulation:
    """Return a node that runs, with its 0.2 identity and a database."""
    sim = Simulation()
    sim.node(address=address)
    if address:
        sim.disk(LIVEPEER).needed().tree[KEYS_JSON] = Entry(0o644, 2101, 2101, b'{"PrivKey": "CAAS"}')
        sim.disk(LIVEPEER).needed().tree[DATABASE] = Entry(0o644, 2101, 2101, bytes(range(256)))
    return sim


def backed_up(*, database: bool = False, store: str = "") -> Simulation:
    sim = node()
    perform(backup_keys.operation(backup_keys.Request(NODE, store, database)), sim)
    return sim


def emptied(sim: Simulation, *, marked: bool = False) -> Simulation:
    """Let the volume be a fresh one: the key, the identity and the database are not there."""
    machine = sim.machine(NODE)
    machine.stop(LIVEPEER.service.unit)
    tree = sim.disk(LIVEPEER).needed().tree
    for path in [path for path in tree if path.startswith((KEYSTORE, KEYS_JSON, DATABASE))]:
        del tree[path]
    if not marked:
        tree[f"/{MARKER}"] = ours(LIVEPEER).needed().tree[f"/{MARKER}"]
        sim.cloud.untag(sim.of(LIVEPEER).id, [tags.ADDRESS])
    sim.forget()
    return sim


def request(**more: object) -> restore_keys.Request:
    return replace(restore_keys.Request(NODE, address=KEY), **more)  # type: ignore[arg-type]


def restore(sim: Simulation, **more: object) -> operate.Outcome:
    return perform(restore_keys.operation(request(**more)), sim)[0]


def refusal(sim: Simulation, **more: object) -> str:
    """Return all that a refused restore says; nothing was changed by it."""
    before, stored = sim.everything(), json.dumps(sim.keystore().documents)
    with pytest.raises(Refused) as caught:
        restore(sim, **more)
    assert sim.everything() == before
    assert json.dumps(sim.keystore().documents) == stored
    return str(caught.value)


def tree(sim: Simulation) -> dict[str, Entry]:
    return sim.disk(LIVEPEER).needed().tree


# the round trip


@pytest.mark.parametrize("store", ["ssm", "secrets-manager", "vault", "age"])
def test_what_was_backed_up_comes_back_byte_by_byte_for_the_service_user_alone(store: str) -> None:
    sim = backed_up(store=store)
    before = {path: tree(sim)[path].data for path in (PATH, KEYS_JSON)}
    restore(emptied(sim), store=store)
    for path, content in before.items():
        entry = tree(sim)[path]
        assert (entry.data, entry.uid, entry.gid, entry.mode) == (content, 2101, 2101, 0o600)
    assert sim.of(LIVEPEER).tags[tags.ADDRESS] == KEY
    assert json.loads(tree(sim)[f"/{MARKER}"].data or b"")["address"] == KEY
    perform(attach.operation(attach.Request(NODE)), sim)
    sim.assert_served_by(NODE)


def test_nothing_that_was_written_is_lost_when_the_power_fails_right_after() -> None:
    sim = emptied(backed_up())
    restore(sim)
    sim.disk(LIVEPEER).lose_power()
    assert tree(sim)[PATH].data == key_content(KEY)


def test_the_database_comes_along_when_it_is_asked_for() -> None:
    sim = backed_up(database=True, store="age")
    assert "database/lp.sqlite3" in sim.stores["age"].documents[BACKUP][0]
    restore(emptied(sim), store="age", database=True)
    assert tree(sim)[DATABASE].data == bytes(range(256))


def test_a_database_is_backed_up_anew_each_time_and_the_operation_ends() -> None:
    sim = backed_up(database=True, store="age")
    sim.clock.sleep(60)
    perform(backup_keys.operation(backup_keys.Request(NODE, "age", database=True)), sim)
    assert len(sim.stores["age"].documents[BACKUP]) == 2


def test_a_second_backup_of_the_same_key_is_nothing_to_do() -> None:
    sim = backed_up()
    outcome, _ = perform(backup_keys.operation(backup_keys.Request(NODE)), sim)
    assert outcome.nothing_to_do
    assert len(sim.keystore().documents[BACKUP]) == 1


def test_a_second_restore_is_nothing_to_do_and_changes_no_byte() -> None:
    sim = emptied(backed_up())
    restore(sim)
    before = sim.disk(LIVEPEER).digest()
    assert restore(sim).nothing_to_do
    assert sim.disk(LIVEPEER).digest() == before


def test_an_earlier_version_can_be_restored() -> None:
    sim = backed_up()
    first = tree(sim)[KEYS_JSON].data
    tree(sim)[KEYS_JSON].data = b'{"PrivKey": "other"}'
    perform(backup_keys.operation(backup_keys.Request(NODE)), sim)
    restore(emptied(sim), version="1")
    assert tree(sim)[KEYS_JSON].data == first


def test_a_backup_that_does_not_come_back_as_it_was_is_no_backup() -> None:
    sim = node()
    sim.keystore().forgets = True
    with pytest.raises((Failed, Refused)):
        perform(backup_keys.operation(backup_keys.Request(NODE)), sim)


def test_no_byte_of_a_key_is_on_a_command_line_or_in_a_plan() -> None:
    sim = emptied(backed_up())
    shown = Console()
    outcome = operate.operate(restore_keys.operation(request()), sim.world, shown)
    said = json.dumps([outcome.plan.describe(), [r.describe() for r in outcome.results]], default=str)
    lines = " ".join(" ".join(command.argv) for command in sim.hosts.commands)
    assert "a1a1a1" not in said + lines
    assert "CAAS" not in said + lines + repr(outcome)


def test_a_dry_run_changes_nothing() -> None:
    for sim, operation in (
        (node(), backup_keys.operation(backup_keys.Request(NODE))),
        (emptied(backed_up()), restore_keys.operation(request())),
    ):
        before, stored = sim.everything(), json.dumps(sim.keystore().documents)
        operate.preview(operation, sim.world, Console())
        assert (sim.everything(), json.dumps(sim.keystore().documents)) == (before, stored)


# every wrong input its own refusal


def test_another_key_in_the_keystore_is_refused_with_both_addresses() -> None:
    sim = emptied(backed_up())
    tree(sim)[KEYSTORE] = Entry(0o700, 2101, 2101)
    tree(sim)[f"{KEYSTORE}/UTC--2027-01-01T00-00-00.0Z--{OTHER[2:]}"] = Entry(0o600, 2101, 2101, key_content(OTHER))
    said = refusal(sim)
    assert f"the keystore holds the key of {OTHER}, the backup is of {KEY}" in said


def test_the_same_key_in_another_encryption_is_not_overwritten() -> None:
    sim = emptied(backed_up(), marked=True)
    tree(sim).update(key_files(2101))
    tree(sim)[PATH].data = key_content(KEY).replace(b"a1a1", b"a2a2")
    assert "in another encryption" in refusal(sim)


def test_another_identity_of_livepeer_is_not_overwritten() -> None:
    sim = emptied(backed_up())
    tree(sim)[KEYS_JSON] = Entry(0o644, 2101, 2101, b"{}")
    assert "keys.json is there already, with other content" in refusal(sim)


def test_a_database_that_is_there_is_not_overwritten() -> None:
    sim = backed_up(database=True, store="age")
    kept = tree(emptied(sim))
    kept[DATABASE] = Entry(0o644, 2101, 2101, b"newer")
    with pytest.raises(Refused, match=r"there is a database lp\.sqlite3 already"):
        restore(sim, store="age", database=True)
    assert tree(sim)[DATABASE].data == b"newer"


def test_addresses_that_differ_are_refused_with_who_says_what() -> None:
    sim = emptied(backed_up(), marked=True)
    said = refusal(sim, address=OTHER)
    assert f"--address {OTHER}" in said
    assert f"the volume's marker {KEY}" in said


def test_the_environments_address_must_be_the_same() -> None:
    sim = Simulation(settings(livepeer={"address": OTHER}))
    sim.node(address="")
    assert f"livepeer.address {OTHER}" in refusal(sim)


def changed_backup(sim: Simulation, change: Callable[[str], str]) -> None:
    documents = sim.keystore().documents
    documents[BACKUP] = [change(documents[BACKUP][-1])]


def with_key(content: bytes, name: str = KEY_FILE) -> Callable[[str], str]:
    """Return what puts another key file into a backup, as a damaged or foreign one would have it."""
    import base64

    def change(text: str) -> str:
        table = json.loads(text)
        table["files"] = {f"keystore/{name}": base64.b64encode(content).decode()}
        return json.dumps(table)

    return change


def _without_address(_text: str) -> str:
    table = json.loads(key_content(KEY))
    del table["address"]
    return with_key(json.dumps(table).encode())(_text)


DAMAGES: dict[str, tuple[Callable[[str], str], str]] = {
    "truncated": (lambda text: text[:-7], "not valid JSON, it ends or breaks at byte"),
    "key truncated": (with_key(key_content(KEY)[:100]), "is not valid JSON"),
    "address not in the file": (_without_address, "holds no address"),
    "other address inside": (with_key(key_content(OTHER)), f"is named for {KEY} and holds the key of {OTHER}"),
    "other key": (
        with_key(key_content(OTHER), f"UTC--2027-01-01T00-00-00.0Z--{OTHER[2:]}"),
        f"it is of {KEY} and holds the key of {OTHER}",
    ),
    "other format": (lambda text: text.replace("transcoder-keys/1", "transcoder-keys/9"), "transcoder-keys/1"),
    "path": (lambda text: text.replace("keystore/UTC", "keystore/../UTC"), "does not belong"),
    "base64": (lambda text: text.replace('keys.json": "', 'keys.json": "!'), "not valid base64"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_refused_with_what_is_wrong(damage: str) -> None:
    sim = emptied(backed_up())
    change, said = DAMAGES[damage]
    changed_backup(sim, change)
    text = refusal(sim)
    assert said in text
    assert "a1a1a1" not in text


def test_a_key_that_the_store_does_not_have_is_refused() -> None:
    sim = emptied(node())
    assert f"the simulated ssm has no backup of {KEY}" in refusal(sim)


def test_a_version_that_the_store_does_not_have_is_refused() -> None:
    assert f"has no backup of version 7 of {KEY}" in refusal(emptied(backed_up()), version="7")


def test_when_nobody_says_which_key_the_store_is_asked_what_it_has() -> None:
    assert f"which key? Nobody says: the store has {KEY}" in refusal(emptied(backed_up()), address="")


def test_an_address_that_is_none_is_refused() -> None:
    assert "Ethereum address" in refusal(emptied(backed_up()), address="0x12")


@pytest.mark.parametrize("what", ["get", "put", "create", "versions"])
def test_a_missing_permission_is_told_and_no_key_is_half_restored(what: str) -> None:
    sim = emptied(backed_up())
    sim.keystore().denied = {what}
    if what in ("get", "versions"):
        assert f"store:{what} is not permitted" in refusal(sim)
    else:  # a restore to the node that has the claim writes nothing into the store
        restore(sim)


def test_a_store_that_throttles_is_unreachable_not_empty() -> None:
    sim = emptied(backed_up())
    sim.keystore().silent = True
    with pytest.raises(Unreachable):
        restore(sim)


def test_a_backup_that_is_too_large_is_refused_and_says_where_it_fits() -> None:
    sim = node()
    with pytest.raises(Refused, match="--store age"):
        perform(backup_keys.operation(backup_keys.Request(NODE, database=True)), sim)
    assert sim.keystore().documents == {}


def test_a_volume_without_marker_or_mount_is_refused() -> None:
    sim = emptied(backed_up())
    del tree(sim)[f"/{MARKER}"]
    assert "has no marker" in refusal(sim)
    sim.machine(NODE).stop(LIVEPEER.mount_unit)
    assert "/d1 is not mounted" in refusal(sim)


# backup, wrong


def test_a_node_without_a_key_has_nothing_to_back_up() -> None:
    with pytest.raises(Refused, match="there is no key yet") as caught:
        perform(backup_keys.operation(backup_keys.Request(NODE)), node(address=""))
    assert "fab create-key" in caught.value.hint


def test_a_keystore_of_another_key_than_the_markers_is_not_backed_up() -> None:
    sim = node()
    del tree(sim)[PATH]
    tree(sim)[f"{KEYSTORE}/UTC--2027-01-01T00-00-00.0Z--{OTHER[2:]}"] = Entry(0o600, 2101, 2101, key_content(OTHER))
    with pytest.raises(Refused, match=f"the marker says {KEY}, the keystore has {OTHER}"):
        perform(backup_keys.operation(backup_keys.Request(NODE)), sim)
    assert sim.keystore().documents == {}


def test_a_key_file_cut_short_is_not_backed_up() -> None:
    sim = node()
    tree(sim)[PATH].data = key_content(KEY)[:90]
    with pytest.raises(Refused, match="is not valid JSON"):
        perform(backup_keys.operation(backup_keys.Request(NODE)), sim)


# one key, one node


def second_node(sim: Simulation, name: str = "tc002", *, tagged: bool = True) -> None:
    """Let another node run with the same key."""
    sim.watcher.of_key.clear()  # that two nodes write with one key is what the test is about
    instance = sim.instance(name, {tags.NODE: name, tags.ROLE: "node"})
    for data, device in ((GETH, "/dev/sdh"), (LIVEPEER, "/dev/sdg")):
        own = {tags.NODE: name, tags.ROLE: data.role, tags.ENVIRONMENT: sim.settings.name}
        known = {tags.ADDRESS: KEY} if data is LIVEPEER and tagged else {}
        sim.plug(sim.volume(ours(data, name, KEY), None, {**own, **known}), instance, device)
    sim.clock.sleep(10)
    sim.forget()


def test_a_key_that_runs_elsewhere_is_refused_by_its_tag() -> None:
    sim = emptied(backed_up())
    second_node(sim)
    said = refusal(sim)
    assert "node tc002 of simulated has this key, too" in said
    assert "--source-lost" in said


def test_a_key_that_runs_elsewhere_is_refused_by_its_marker_alone() -> None:
    sim = emptied(backed_up())
    second_node(sim, tagged=False)
    assert "marker on /d1" in refusal(sim)


def test_a_key_that_is_claimed_for_another_node_is_refused() -> None:
    sim = emptied(backed_up())
    name = f"{KEY}/claim-1"
    claim = Claim(KEY, "production", "tc007", "ada on laptop", "2026-01-01T00:00:00+00:00")
    sim.keystore().documents[name] = [render_claim(claim).reveal()]
    said = refusal(sim)
    assert "claimed for node tc007 of production since 2026-01-01" in said
    assert "ada on laptop" in said


def test_source_lost_stops_the_other_machine_takes_its_volume_off_and_the_claim_over() -> None:
    sim = emptied(backed_up())
    second_node(sim)
    claim = Claim(KEY, sim.settings.name, "tc002", "ada on laptop", "2026-01-01T00:00:00+00:00")
    sim.keystore().documents[f"{KEY}/claim-1"] = [render_claim(claim).reveal()]
    restore(sim, source_lost=True)
    other = next(i for i in sim.cloud.machines.values() if i.name == "tc002")
    assert other.state == "stopped"
    volumes = [v for v in sim.cloud.blocks.values() if v.tags.get(tags.ADDRESS) == KEY and v.tags[tags.NODE] == "tc002"]
    assert [volume.attachment for volume in volumes] == [None]
    holder, number = find_claim(sim.keystore(), KEY)
    assert holder is not None
    assert (holder.node, number) == (NODE, 2)
    assert tree(sim)[PATH].data == key_content(KEY)


def test_a_machine_of_another_environment_is_not_stopped_for_it() -> None:
    sim = emptied(backed_up())
    second_node(sim)
    volume = next(v for v in sim.cloud.blocks.values() if v.tags.get(tags.NODE) == "tc002" and tags.ADDRESS in v.tags)
    sim.cloud.tag(volume.id, {tags.ENVIRONMENT: "production"})
    assert "only its own environment can stop it" in refusal(sim, source_lost=True)


def test_a_backup_of_a_key_that_another_node_has_claimed_is_refused() -> None:
    sim = node()
    claim = Claim(KEY, "production", "tc007", "ada on laptop", "2026-01-01T00:00:00+00:00")
    sim.keystore().documents[f"{KEY}/claim-1"] = [render_claim(claim).reveal()]
    with pytest.raises(Refused, match="the key belongs to node tc007 of production"):
        perform(backup_keys.operation(backup_keys.Request(NODE)), sim)
    perform(backup_keys.operation(backup_keys.Request(NODE, source_lost=True)), sim)
    holder, _ = find_claim(sim.keystore(), KEY)
    assert holder is not None
    assert holder.node == NODE


# broken off


def _changes(make: Callable[[], Simulation], operation: operate.Operation) -> int:
    sim, counter = make(), Cut(-1, after=False)
    operate.operate(operation, counter.world(sim), Console())
    return counter.changes


def restorable() -> Simulation:
    return emptied(backed_up())


RESTORE_CHANGES = _changes(restorable, restore_keys.operation(request()))
BACKUP_CHANGES = _changes(node, backup_keys.operation(backup_keys.Request(NODE)))


def broken_off(sim: Simulation, operation: operate.Operation, at: int, *, after: bool) -> None:
    with pytest.raises(ProcessDied):
        operate.operate(operation, Cut(at, after=after).world(sim), Console())
    sim.cloud.locks = {name: replace(lock, pid=DEAD_PROCESS) for name, lock in sim.cloud.locks.items()}


@pytest.mark.parametrize("power", [False, True], ids=["", "power-fails"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(RESTORE_CHANGES))
def test_a_restore_broken_off_anywhere_leaves_the_old_state_or_the_new_one(at: int, after: bool, power: bool) -> None:
    sim = restorable()
    broken_off(sim, restore_keys.operation(request()), at, after=after)
    if power:
        sim.disk(LIVEPEER).lose_power()
    readable = {p: e.data for p, e in tree(sim).items() if p.startswith(f"{KEYSTORE}/") and _is_read_by_livepeer(p)}
    assert readable in ({}, {PATH: key_content(KEY)})
    if readable:  # the key is the last of the files: with it everything else is there
        assert KEYS_JSON in tree(sim)
    restore(sim)
    assert tree(sim)[PATH].data == key_content(KEY)
    assert [path for path in tree(sim) if path.endswith(".new")] == []
    assert sim.cloud.locks == {}


def test_what_a_killed_operator_has_sent_gives_half_a_key_no_name() -> None:
    """His shell may rename on the machine when the next restore is writing already: it writes to another name."""
    sim = restorable()
    restore(sim)
    first = _renamed(sim)
    restore(emptied(sim))
    later = _renamed(sim)
    assert len(first) == len(later) == 2
    assert not {*first} & {*later}


def _renamed(sim: Simulation) -> list[str]:
    """Return the temporary names that files beside the database and in the keystore had, in their order."""
    sources = [command.argv[-2] for command in sim.hosts.commands if command.argv[0] == "mv"]
    return [name for name in sources if "/.lpData/" in name]


def _is_read_by_livepeer(path: str) -> bool:
    """go-ethereum accounts/keystore nonKeyFile: hidden files and those that end in ~ are passed over."""
    name = path.rpartition("/")[2]
    return not name.startswith(".") and not name.endswith("~")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(BACKUP_CHANGES))
def test_a_backup_broken_off_anywhere_goes_on_to_a_whole_one(at: int, after: bool) -> None:
    sim = node()
    operation = backup_keys.operation(backup_keys.Request(NODE))
    broken_off(sim, operation, at, after=after)
    perform(operation, sim)
    found = parse_bundle(Secret(sim.keystore().documents[BACKUP][-1]))
    assert found.files[f"keystore/{KEY_FILE}"] == key_content(KEY)
    holder, number = find_claim(sim.keystore(), KEY)
    assert holder is not None
    assert number == 1


def test_a_bundle_is_written_as_it_is_read() -> None:
    sim = backed_up(database=True, store="age")
    document = Secret(sim.stores["age"].documents[BACKUP][0])
    assert render_bundle(parse_bundle(document)) == document
