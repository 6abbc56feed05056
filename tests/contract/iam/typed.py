"""Tasks typed as an operator does, in the simulated world, with every call of AWS made to moto first.

AWS looks at permissions before it looks at anything else. So each call of the library goes to moto under the user's
policy; what moto makes of it otherwise does not count, for it knows none of the simulated things. Only what it does not
permit does: that is raised as the library words it. What happens is then up to the simulated world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
from invoke.program import Program

import fabfile
import tasks
from tests.contract.iam.account import Account, enforced
from tests.simulated.world import Simulation
from tests.unit.iam.test_policies import granted
from transcoder import app, keystores
from transcoder.aws import Aws
from transcoder.aws_calls import Calls
from transcoder.errors import Refused
from transcoder.iam import BAKE_TASKS
from transcoder.keystores import secrets_manager, ssm
from transcoder.settings import Settings
from transcoder.world import World

NAMESPACES = {"fab": fabfile.namespace, "invoke": tasks.namespace}
STATEFUL = frozenset({"take_lock", "free_lock", "lock_holder", "lock_holders"})
"""Calls that moto is asked each time: a lock that is taken is there to be freed. All others it is asked once a task."""

IN_AWS: Mapping[str, Callable[[Settings, Calls], Any]] = {
    "ssm": ssm.open_store,
    "secrets-manager": secrets_manager.open_store,
}


def whole_policy(task: str) -> set[str]:
    """Return the actions of the policy that who types a task has."""
    return granted("bake" if task in BAKE_TASKS else "operator")


class Permitted:
    """Something of the world, asked for permission before it is used.

    :param real: the same thing, of the library and in moto's account.
    """

    def __init__(self, simulated: Any, real: Any, lock: Any) -> None:
        self._simulated, self._real, self._lock = simulated, real, lock
        self._permitted: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._simulated, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._lock:  # moto's tables are no more made for several threads than the simulated ones
                return self._ask(name, *args, **kwargs) or found(*args, **kwargs)

        return call

    def _ask(self, name: str, *args: Any, **kwargs: Any) -> str:
        """Raise what is not permitted; return the reason where the call only asked for it."""
        what = f"{name} {args[0].action}" if name == "denial" else name
        if what in self._permitted:
            return ""
        try:
            answer = getattr(self._real, name)(*args, **kwargs)
        except Refused as refused:
            if "is not permitted (" in refused.message:
                raise
            answer = ""
        except Exception:  # noqa: BLE001 - moto knows none of the things that are named: that it has answered is enough
            answer = ""
        if name == "denial" and answer:
            return str(answer)
        if name not in STATEFUL:
            self._permitted.add(what)
        return ""


class PermittedCloud(Permitted):
    """The cloud of a world; its other regions ask, too."""

    def __init__(self, simulated: Any, settings: Settings, account: Account, lock: Any) -> None:
        super().__init__(simulated, Aws(settings, account.calls(settings)), lock)
        self._settings, self._account = settings, account
        self._elsewhere: dict[str, PermittedCloud] = {}

    def stacks(self) -> Permitted:
        """Return CloudFormation of this region."""
        return Permitted(self._simulated.stacks(), self._real.stacks(), self._lock)

    def in_region(self, region: str) -> PermittedCloud:
        """Return another region of the same world."""
        if region not in self._elsewhere:
            there = self._settings.in_region(region)
            found = self._simulated.in_region(region)
            self._elsewhere[region] = PermittedCloud(found, there, self._account, self._lock)
        return self._elsewhere[region]


class Desk:
    """Where somebody types. ``asked`` has what was called for by the last line."""

    def __init__(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        self._account, self._monkeypatch = account, monkeypatch

    @property
    def asked(self) -> set[str]:
        """The actions that have been called for since the policy was set."""
        return self._account.asked

    def type(self, permitted: set[str], words: Sequence[str], sims: Mapping[str, Simulation]) -> int:
        """Type a line in a world, as who may call these actions; return the exit code.

        :param sims: the worlds by the names of their environments; ``home`` is where no other is named.
        """
        self._account.permit(permitted)
        for sim in sims.values():
            for node, lock in sim.cloud.locks.items():  # what is locked there is locked in the account, too
                Aws(sim.settings, self._account.calls(sim.settings)).take_lock(node, lock)
        self._account.asked.clear()
        opened = {name: self._world(sim) for name, sim in sims.items()}
        by_settings = {sim.settings.name: opened[name] for name, sim in sims.items()}

        @contextmanager
        def world(settings: Settings) -> Iterator[World]:
            yield by_settings[settings.name]

        for name in ("world", "watched_world"):
            self._monkeypatch.setattr(app, name, world)
        self._monkeypatch.setattr(app, "settings", lambda env, **_: sims[env or "home"].settings)
        return enforced(lambda: run(*words))

    def _world(self, sim: Simulation) -> World:
        calls = self._account.calls(sim.settings)
        cloud = PermittedCloud(sim.cloud, sim.settings, self._account, sim.lock)
        opened = replace(sim.world, cloud=cast(Any, cloud), keystore=stores(sim, calls))
        return replace(opened, passphrases=lambda: passphrases(sim, calls))


def stores(sim: Simulation, calls: Calls) -> Callable[[str], Any]:
    """Return what opens the key stores of a world; those in AWS ask for permission."""

    def keystore(kind: str = "") -> Any:
        chosen = kind or sim.settings.keys.store
        simulated = sim.keystore(chosen)
        if chosen not in IN_AWS:
            return simulated
        return Permitted(simulated, IN_AWS[chosen](sim.settings, calls), sim.lock)

    return keystore


def passphrases(sim: Simulation, calls: Calls) -> Any:
    """Return the store of a world's passphrases, which asks for permission."""
    real = IN_AWS[sim.settings.keys.passphrase_store](keystores.apart(sim.settings), calls)
    return Permitted(sim.passphrases, real, sim.lock)


def run(*words: str) -> int:
    """Type a command; return its exit code."""
    try:
        Program(namespace=NAMESPACES[words[0]]).run(list(words))
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
