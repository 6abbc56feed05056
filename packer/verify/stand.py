"""The machine that an AMI is tested on: launched without volumes, and terminated whatever happens."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import ClassVar

from transcoder import tags
from transcoder.actions.cloud import TerminateInstance
from transcoder.actions.guest import WaitReachable
from transcoder.errors import Failed
from transcoder.model import Image, Instance
from transcoder.recipes.launch import user_data
from transcoder.step import Event, Plan, Step, run
from transcoder.world import LaunchRequest, World

ROLE = "verify"
LIFE_MINUTES = 60
"""After that the machine ends itself: whoever launched it may be gone for good."""
Watch = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class LaunchToTest(Step):
    """Launch a machine without volumes that ends itself when nobody else does."""

    name: str
    image_id: str
    zone: str
    token: str
    verb: ClassVar[str] = "launch"
    calls: ClassVar[tuple[str, ...]] = ("RunInstances", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress")

    @property
    def title(self) -> str:
        return f"launch {self.name} from {self.image_id} in {self.zone}, to be tested"

    def is_done(self, world: World) -> bool:
        return bool(named(world, self.name))

    def do(self, world: World) -> None:
        own = {tags.NAME: self.name, tags.ENVIRONMENT: world.settings.name, tags.ROLE: ROLE}
        script = f"{user_data(self.name, world.settings.node.domain)}shutdown -P +{LIFE_MINUTES} || true\n"
        group = world.cloud.ensure_security_group()
        world.cloud.launch(LaunchRequest(self.image_id, self.zone, group, script, self.token, own, temporary=True))

    def verify(self, world: World) -> None:
        def running() -> bool:
            found = named(world, self.name)
            if found and found[0].state not in ("pending", "running"):
                raise Failed(f"{self.name} ({found[0].id}) is {found[0].state} instead of running")
            return bool(found) and found[0].state == "running"

        world.wait(f"{self.name} running", running, world.settings.instance.running_budget_seconds)


@dataclass(frozen=True)
class Stand:
    """A machine that is booted; ``seconds`` from its launch until then."""

    instance: Instance
    seconds: float


def named(world: World, name: str) -> tuple[Instance, ...]:
    """Return the test machines of this name."""
    return tuple(each for each in leftovers(world) if each.name == name)


def leftovers(world: World) -> tuple[Instance, ...]:
    """Return the test machines of the environment. Who holds its lock knows that they are left of runs that died."""
    return world.cloud.instances(tags={tags.ENVIRONMENT: world.settings.name, tags.ROLE: ROLE})


def remove(world: World, machines: tuple[Instance, ...], watch: Watch) -> None:
    """Terminate test machines."""
    if machines:
        steps = tuple(TerminateInstance(lane=each.id, instance=each) for each in machines)
        run(Plan("remove test machines", steps), world, watch)


@contextmanager
def stand_for(world: World, image: Image, watch: Watch) -> Iterator[Stand]:
    """Launch and boot a machine of an AMI for the length of a ``with`` block.

    It is terminated also when the process is told to end (SIGTERM, SIGHUP), which is turned into what Ctrl-C is.
    """
    token = str(uuid.uuid4())
    name, zone = f"verify-{token[:8]}", world.settings.aws.availability_zone
    with _signals_end_it():
        try:
            yield _launch(world, LaunchToTest(name=name, image_id=image.id, zone=zone, token=token), watch)
        finally:
            remove(world, named(world, name), watch)


def _launch(world: World, step: LaunchToTest, watch: Watch) -> Stand:
    began = world.clock.monotonic()
    run(Plan(f"launch {step.name}", (step,)), world, watch)
    (instance,) = named(world, step.name)
    run(Plan(f"reach {step.name}", (WaitReachable(instance=instance),)), world, watch)
    return Stand(instance, world.clock.monotonic() - began)


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """Turn the signals that would end the process at once into what Ctrl-C is."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
