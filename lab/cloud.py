"""What every part of the control plane shares: the lock, the driver, the current request, and slow work in threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lab.configuration import LabConfiguration, Latencies
from lab.drivers import MachineDriver
from lab.faults.seams import Seams
from lab.hooks import ec2_backend

log = logging.getLogger("lab")


class Cloud:
    """One lab's EC2.

    ``lock`` is held during a request and whenever a job looks at or changes moto's state; a job must not hold it while
    it waits for a machine. Nothing that holds a lock of the driver ever takes this one, so the two cannot deadlock.
    """

    def __init__(self, configuration: LabConfiguration, driver: MachineDriver) -> None:
        self.configuration = configuration
        self.driver = driver
        self.lock = threading.RLock()
        self.parameters: Mapping[str, Any] = {}
        """Parameters of the EC2 request that is being answered; empty for other services and for jobs."""
        self.closing = threading.Event()
        self.seams = Seams()
        self._region = configuration.region
        self._bookkeeping = False
        self._jobs: set[threading.Thread] = set()

    @property
    def latencies(self) -> Latencies:
        """How long state changes take."""
        return self.configuration.latencies

    @property
    def backend(self) -> Any:
        """moto's live EC2 of the region that the current request is for; of the first region when there is none.

        A job works on the backend of its own instance or snapshot.
        """
        return ec2_backend(self._region)

    @property
    def backends(self) -> tuple[Any, ...]:
        """moto's live EC2 of every region of the lab."""
        return tuple(ec2_backend(region) for region in self.configuration.regions)

    def instances(self) -> list[Any]:
        """Return the instances of every region."""
        return [instance for backend in self.backends for instance in backend.all_instances()]

    @property
    def bookkeeping(self) -> bool:
        """True while moto makes or drops objects of its own that have no disk and no machine."""
        return self._bookkeeping

    @contextmanager
    def as_bookkeeping(self) -> Iterator[None]:
        """Let moto's methods run bare. The caller holds the lock."""
        before, self._bookkeeping = self._bookkeeping, True
        try:
            yield
        finally:
            self._bookkeeping = before

    @contextmanager
    def request(self, parameters: Mapping[str, Any], region: str = "") -> Iterator[None]:
        """Make these the parameters and the region of the current request, by default the first region.

        The caller holds the lock.
        """
        before = self.parameters, self._region
        self.parameters, self._region = parameters, region or self.configuration.region
        try:
            yield
        finally:
            self.parameters, self._region = before

    def wait(self, seconds: float) -> bool:
        """Wait, in a job. Return False when the lab is going down and the job must end."""
        return not self.closing.wait(seconds)

    def job(self, name: str, function: Callable[..., None], *arguments: Any) -> None:
        """Run ``function(*arguments)`` in a thread of its own; what it raises goes to the log with its traceback."""

        def run() -> None:
            try:
                function(*arguments)
            except Exception:  # a job is the top of its thread: nobody else can see what went wrong
                log.exception("job %s failed", name)
            finally:
                self._jobs.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._jobs.add(thread)
        thread.start()

    def later(self, name: str, seconds: float, change: Callable[[], None]) -> None:
        """Apply a change of moto's state after ``seconds``, under the lock."""

        def run() -> None:
            if self.wait(seconds):
                with self.lock:
                    change()

        self.job(name, run)

    def close(self, budget_seconds: float = 5.0) -> None:
        """End the jobs. Those that hang in a machine end with it."""
        self.closing.set()
        for thread in list(self._jobs):
            thread.join(budget_seconds)
