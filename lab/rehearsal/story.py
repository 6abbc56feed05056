"""The story of a rehearsal: the main job, as an operator would type it, and what must be true afterwards."""

from __future__ import annotations

from lab.rehearsal import acts
from lab.rehearsal.stage import Act, Plot


def story(plot: Plot, *, left_over: bool, down: bool, fresh: bool = False) -> tuple[Act, ...]:
    """Return the acts in their order.

    :param left_over: the lab of an earlier rehearsal is still up.
    :param down: take the lab down in the end.
    :param fresh: bake anew, although an image of the same inputs may have been kept.
    """
    node = ("--node", plot.node)
    # The round is the lab's own: whether its reward is called before or after the move is of no interest here.
    move = ("fab", "migrate", *node, "--to", plot.second, "--ignore-round")
    status = ("fab", "status", *node, "--json")
    spare = ("--spare", "--name", plot.second)
    end = ("invoke", "lab.down")
    bake = ("invoke", "bake-ami", *(("--force",) if fresh else ()), "--yes", "--json")
    return (
        *((Act("clear", "end the lab of the last rehearsal", end, acts.run),) if left_over else ()),
        Act("lab-up", "start the lab", ("invoke", "lab.up"), acts.start_lab, budget=1900),
        Act("bake", "bake the AMI", bake, acts.bake, budget=3600),
        Act("launch", "launch the node", ("invoke", "launch", *node, "--yes", "--json"), acts.launch),
        Act("create-key", "create its key, start it", ("fab", "create-key", *node, "--yes", "--json"), acts.run),
        Act("records", "wait until it writes", (), acts.await_records),
        Act("spare", "launch a second machine", ("invoke", "launch", *node, *spare, "--yes"), acts.launch_spare),
        Act("before", "look at the node", status, acts.look_before),
        Act("dry-run", "preview the migration", (*move, "--dry-run", "--json"), acts.preview),
        Act("migrate", "migrate the node", (*move, "--yes", "--json"), acts.migrate, budget=1800),
        Act("again", "the same migration again", (*move, "--yes"), acts.migrate_again),
        Act("target", "look at the new machine", (), acts.prove_target),
        Act("source", "look at the old machine", (), acts.prove_source),
        Act("cloud", "look at EC2", (), acts.prove_cloud),
        Act("after", "look at the node again", status, acts.prove_identity),
        Act("found", "count its records", (), acts.prove_records),
        *((Act("down", "end the lab", end, acts.end_lab),) if down else ()),
    )
