"""`fab set-passphrase`: the passphrase that the node's key has, into the store from which its machine fetches it.

The key itself is not changed, and the passphrase is proven with it first, in the operator's memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transcoder import proof
from transcoder.actions.keys import read_files
from transcoder.actions.passphrases import KeepPassphrase, find_passphrases, refuse_old_image
from transcoder.catalog import passphrase as catalog
from transcoder.catalog.history import numbers
from transcoder.errors import Refused
from transcoder.facts import bundle
from transcoder.operate import Operation
from transcoder.recipes.backup_keys import running_carrier
from transcoder.recipes.key_facts import KeyMachine, look_at_machine
from transcoder.recipes.node import observe_node
from transcoder.secret import Secret
from transcoder.settings import Settings
from transcoder.step import Plan, Skip
from transcoder.world import World


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from. ``files``: what the store is to say, by the sha256 of the key file."""

    node: str
    address: str
    where: str
    files: Mapping[str, Secret]
    known: Mapping[str, Secret] | None


def operation(node: str, passphrase: Secret) -> Operation:
    """Return the operation for `transcoder.operate`."""
    return Operation("fab set-passphrase", node, lambda world: plan(observe(world, node, passphrase)))


def refuse_settings(settings: Settings) -> None:
    """Refuse an environment whose machines fetch no passphrase, or could not.

    :raises Refused: with every reason.
    """
    own = settings.keys.passphrase_store
    if not own:
        raise Refused(
            f"the machines of environment {settings.name} fetch no passphrase",
            hint=f"keys.passphrase_store = 'ssm' in {settings.path}, then bake, then move the node to that image",
        )
    version, options = numbers(settings.livepeer.version), settings.livepeer.options
    has_role = bool(settings.aws.instance_profile)
    reasons = tuple(catalog.reasons(own, version, has_file="ethPassword" in options, has_role=has_role))
    if reasons:
        raise Refused("no machine could fetch a passphrase", reasons=reasons, hint=f"edit {settings.path}, then bake")


def refuse_unfit(passphrase: Secret) -> None:
    """Refuse a passphrase that livepeer would not read from a file as it is.

    :raises Refused: then, without showing it.
    """
    if reason := catalog.unfit(passphrase.reveal()):
        raise Refused(reason, hint="fab rotate-passphrase, to another one")


def observe(world: World, node: str, passphrase: Secret) -> Observed:
    """Look at the key on the node's machine and at the store, and prove the passphrase.

    :raises Refused: when there is no sound key of the node's, or the passphrase does not open it.
    """
    refuse_settings(world.settings)
    refuse_unfit(passphrase)
    machine = look_at_machine(world, running_carrier(observe_node(world, node)))
    address = _address(machine)
    host = world.hosts(machine.instance)
    refuse_old_image(host)
    content = read_files(host, address)
    files = {name: content[name] for name in content if name.startswith(bundle.KEY)}
    for name, of in files.items():
        proof.prove(name.removeprefix(bundle.KEY), of, passphrase)
    wanted = {bundle.digest(of): passphrase for of in files.values()}
    return Observed(node, address, world.passphrases().where, wanted, find_passphrases(world, address))


def _address(machine: KeyMachine) -> str:
    address = machine.marker.address if machine.marker else ""
    why = ""
    if not machine.mounted:
        why = f"/d1 is not mounted on {machine.instance.name}"
    elif machine.problem:
        why = machine.problem
    elif not address:
        why = "the volume's marker has no address: there is no key yet"
    elif address not in machine.addresses:
        why = f"the marker says {address}, the keystore has {', '.join(machine.addresses) or 'no key at all'}"
    if why:
        raise Refused("there is no key that a passphrase could be of", reasons=[why], hint="fab status")
    return address


def plan(observed: Observed) -> Plan:
    """Return what is to be done: say in the store which passphrase opens the key file that is there."""
    step = KeepPassphrase(
        where=observed.where,
        address=observed.address,
        files=observed.files,
        why="its machine fetches it when livepeer starts",
        skip=Skip.DONE if observed.known == observed.files else None,
    )
    title = f"store the passphrase of the key {observed.address} of node {observed.node}"
    return Plan(title, (step,), ("a livepeer that runs goes on with what it has read at its start",))
