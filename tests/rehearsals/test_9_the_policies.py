"""All of the rehearsals ran under the policies: nobody was denied anything, and what was called is granted.

Their log of calls stays in ``build``: ``python -m lab.rehearsal.actions`` adds it to the record of what tasks call.
"""

from __future__ import annotations

from lab.rehearsal import actions
from tests.rehearsals.rig import Rig
from transcoder import iam


def test_every_call_of_the_rehearsals_is_granted(rig: Rig) -> None:
    actions.KEPT.parent.mkdir(exist_ok=True)
    actions.KEPT.write_text("".join(rig.log()), encoding="utf-8")
    lines = actions.read(actions.KEPT)
    assert actions.denied(lines) == []
    called = actions.called(lines)
    assert "packer" in called
    granted = {kind: iam.actions(iam.render(kind, rig.settings)) for kind in iam.KINDS}
    beyond = {who: found - granted[actions.policy_of(who)] for who, found in called.items()}
    assert {who: found for who, found in beyond.items() if found} == {}
