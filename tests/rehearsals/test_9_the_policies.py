"""All of the rehearsals ran under the policies: nobody was denied anything, and what was called is granted."""

from __future__ import annotations

from lab.rehearsal import actions
from tests.rehearsals.rig import Rig
from transcoder import iam
from transcoder.grants import KINDS


def test_every_call_of_the_rehearsals_is_granted_and_known(rig: Rig) -> None:
    actions.KEPT.parent.mkdir(exist_ok=True)
    actions.KEPT.write_text("".join(rig.log()), encoding="utf-8")
    lines = actions.read(actions.KEPT)
    assert actions.denied(lines) == []
    called = actions.called(lines)
    assert "packer" in called
    granted = {kind: iam.actions(iam.render(kind, rig.settings)) for kind in KINDS}
    assert {who: found - granted[actions.policy_of(who)] for who, found in called.items()} == dict.fromkeys(
        called, frozenset()
    )
    assert set(called) <= set(actions.load()), "python -m lab.rehearsal.actions"
