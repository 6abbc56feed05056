"""What a transcoder does by itself: call the reward, initialize rounds, note the newest block."""

import os
import threading
from typing import Callable

from . import log
from .eth import EthError, LivepeerEthClient
from .state import Database


class Service:
    """Calls `work` every `seconds` in a thread of its own until it is stopped; failures are logged and tried again."""

    def __init__(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        self._name, self._seconds, self._work = name, seconds, work
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_working(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin; the first work is done after the first interval."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            try:
                self._work()
            except EthError as error:
                log.error(f"Error trying to {self._name}: {error}", "rewardservice.go:1")


def call_reward(client: LivepeerEthClient, ended: threading.Event) -> None:
    """tryReward: once a round, when it is initialized and the transcoder is active."""
    current = client.current_round()
    record = client.transcoder()
    if record["LastRewardRound"] < current and client.round_initialized() and record["Active"]:
        client.transact("BondingManager", "reward()", ended)
        log.info(f"Called reward for round {current} - 94 LPT rewards minted", "rewardservice.go:1")


def initialize_round(client: LivepeerEthClient, ended: threading.Event) -> None:
    """-initializeRound: the first transcoder to see a new round pays for its initialization."""
    if not client.round_initialized():
        client.transact("RoundsManager", "initializeRound()", ended)
        log.info(f"Initialized round {client.current_round()}", "roundservice.go:1")


def reward_service(client: LivepeerEthClient, ended: threading.Event, idle_file: str, seconds: float) -> Service:
    """The ticker, which tries first when ``seconds`` have passed, not at the start.

    For a rehearsal LIVEPEER_STANDIN_REWARD_SECONDS says how many, and `idle_file` makes it idle.
    """
    seconds = float(os.environ.get("LIVEPEER_STANDIN_REWARD_SECONDS") or seconds)

    def work() -> None:
        if not os.path.exists(idle_file):
            call_reward(client, ended)

    return Service("call reward", seconds, work)


def rounds_service(client: LivepeerEthClient, ended: threading.Event) -> Service:
    """Looks for a new round every 2 s."""
    return Service("initialize round", 2.0, lambda: initialize_round(client, ended))


def block_service(client: LivepeerEthClient, database: Database) -> Service:
    """Keeps lastBlock in the database up to date."""
    return Service("read the newest block", 2.0, lambda: database.set_last_block(client.block_number()))
