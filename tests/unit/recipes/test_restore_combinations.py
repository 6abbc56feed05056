"""Whatever is on the volume, in the store and elsewhere: it ends with the key, or refuses and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulated.disk import KEY, KEY_FILE, KEYSTORE, Entry, key_content, marker
from tests.simulated.world import NODE, Simulation, perform
from transcoder import tags
from transcoder.actions.keys import backup_name, find_claim
from transcoder.errors import Refused
from transcoder.facts.bundle import Bundle, render_bundle
from transcoder.facts.claim import Claim, render_claim
from transcoder.layout import LIVEPEER, MARKER
from transcoder.recipes import restore_keys

OTHER = "0x" + "ab" * 20
OTHER_FILE = f"UTC--2027-01-01T00-00-00.0Z--{OTHER[2:]}"
IDENTITY, ANOTHER = b'{"PrivKey": "CAAS"}', b'{"PrivKey": "other"}'
IDENTITY_PATH = "/livepeer/.lpData/keys.json"
CHANGED = key_content(KEY).replace(b"a1a1", b"a2a2")


@dataclass(frozen=True)
class State:
    """How it is before. ``key``: of the node's address on the volume; ``claim``: the node that has it."""

    key: bytes | None
    other: bool
    identity: bytes | None
    marked: str
    leftover: bool
    claim: str
    given: str
    lost: bool

    def simulation(self) -> Simulation:
        """Return the world that is so."""
        sim = Simulation()
        sim.node(address="")
        tree = sim.disk(LIVEPEER).needed().tree
        tree[KEYSTORE] = Entry(0o700, 2101, 2101)
        files = {KEY_FILE: self.key, OTHER_FILE: key_content(OTHER) if self.other else None}
        files[f".{KEY_FILE}.new"] = b"half of a" if self.leftover else None
        for name, content in files.items():
            if content is not None:
                tree[f"{KEYSTORE}/{name}"] = Entry(0o600, 2101, 2101, content)
        if self.identity is not None:
            tree[IDENTITY_PATH] = Entry(0o644, 2101, 2101, self.identity)
        if self.marked:
            tree[f"/{MARKER}"] = Entry(0o644, 0, 0, marker(NODE, LIVEPEER.role, self.marked))
            sim.cloud.tag(sim.of(LIVEPEER).id, {tags.ADDRESS: self.marked})
        bundle = {f"keystore/{KEY_FILE}": key_content(KEY), "keys.json": IDENTITY}
        when = "2026-01-01T00:00:00+00:00"
        sim.keystore().put(backup_name(KEY), render_bundle(Bundle(KEY, NODE, "simulated", when, bundle)))
        if self.claim:
            claim = Claim(KEY, "simulated", self.claim, "ada on laptop", when)
            sim.keystore().create(f"{KEY}/claim-1", render_claim(claim))
        return sim

    @property
    def is_fine(self) -> bool:
        """Whether there is nothing that speaks against it."""
        files = not self.other and self.key in (None, key_content(KEY)) and self.identity in (None, IDENTITY)
        named = {address for address in (self.marked, self.given) if address}
        return files and named == {KEY} and (self.claim in ("", NODE) or self.lost)


STATES = st.builds(
    State,
    key=st.sampled_from([None, None, key_content(KEY), CHANGED]),
    other=st.sampled_from([False, False, True]),
    identity=st.sampled_from([None, IDENTITY, ANOTHER]),
    marked=st.sampled_from(["", "", KEY, OTHER]),
    leftover=st.booleans(),
    claim=st.sampled_from(["", NODE, "tc002"]),
    given=st.sampled_from([KEY, KEY, "", OTHER]),
    lost=st.booleans(),
)


@given(STATES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_it_ends_with_the_whole_key_or_refuses_and_changes_no_byte(state: State) -> None:
    sim = state.simulation()
    before, stored = sim.disk(LIVEPEER).digest(), repr(sim.keystore().documents)
    request = restore_keys.Request(NODE, address=state.given, source_lost=state.lost)
    try:
        perform(restore_keys.operation(request), sim)
    except Refused as refused:
        assert not state.is_fine, refused
        assert (sim.disk(LIVEPEER).digest(), repr(sim.keystore().documents)) == (before, stored)
        return
    assert state.is_fine
    tree = sim.disk(LIVEPEER).needed().tree
    assert tree[f"{KEYSTORE}/{KEY_FILE}"].data == key_content(KEY)
    assert tree[IDENTITY_PATH].data == IDENTITY
    holder, _ = find_claim(sim.keystore(), KEY)
    assert holder is not None
    assert holder.node == NODE
    assert sim.of(LIVEPEER).tags[tags.ADDRESS] == KEY
