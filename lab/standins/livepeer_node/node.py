"""A running node: what livepeer's main() does, in its order. Most failures end it with exit code 0, as they did."""

import os
import signal
import threading
import time
from typing import Any, Dict, List, Optional

from ..common.rpc_client import RpcClient, Unreachable
from . import account, faces, log
from .eth import EthError, LivepeerEthClient
from .faces import Ended
from .services import Service, block_service, reward_service, rounds_service
from .state import Database, Records
from .versions import Personality
from .webserver import Facts, routes

_STOP_SECONDS = 0.5


class Node:
    """One livepeer of the version `own`. `values` are its flags."""

    def __init__(self, own: Personality, values: Dict[str, Any]) -> None:
        self._own = own
        self._values = values
        self._face = faces.of(own, values)
        self._ended = threading.Event()
        self._services: Dict[str, Service] = {}
        self._all_services: List[Service] = []
        self._records: Optional[Records] = None

    def run(self) -> int:
        """Start, work until SIGINT; the exit code. SIGTERM is not handled: it kills at once (before v0.8.9)."""
        try:
            database = self._open()
        except Ended as error:
            log.error(str(error))
            return 0
        caught: List[int] = []  # no Event, no Queue: their locks may be held by this very thread when the signal comes
        signal.signal(signal.SIGINT, lambda which, _: caught.append(which))
        while not caught:
            time.sleep(0.05)
        log.info("Exiting Livepeer: interrupt")
        self._close(database)
        return 0

    def _open(self) -> Database:
        self._face.choose_network()
        datadir = self._face.ensure_datadir()
        try:
            database = Database(datadir, self._own.jobs)
        except Exception as error:
            raise Ended(f"Error opening DB {error}") from error
        try:
            self._face.open()
        except OSError as error:
            raise Ended(f"Error creating a new node: {log.reason(error)}") from error
        client = None
        if self._face.off_chain:
            log.info("***Livepeer is in off-chain mode***")
        else:
            client = self._set_up_eth()
            self._start_services(client, database)
        self._start_records()
        self._serve(client, database)
        return database

    def _set_up_eth(self) -> LivepeerEthClient:
        values = self._values
        directory = account.key_store_directory(values["datadir"], values["ethKeystorePath"])
        rpc = RpcClient(self._face.endpoint)
        try:
            rpc.dial()
        except Unreachable as error:
            raise Ended(f"Failed to connect to Ethereum client: {error}") from error
        try:
            chosen = account.choose(directory, account.hex_to_address(values["ethAcctAddr"]))
            controller = account.hex_to_address(self._face.controller)
            client = LivepeerEthClient(rpc, controller, values["gasLimit"], self._own)
        except (account.AccountError, EthError) as error:
            raise Ended(f"Failed to create client: {error}") from error
        client.gas_price = max(values["gasPrice"], 0)
        try:
            password = values["ethPassword"]
            client.account = account.unlock(
                chosen, account.from_file(password) if self._own.password_files else password
            )
        except account.AccountError as error:
            raise Ended(f"Failed to setup client: {error}") from error
        return client

    def _start_services(self, client: LivepeerEthClient, database: Database) -> None:
        self._all_services = [block_service(client, database)]
        if self._face.works:
            self._set_up_role(client)
        for service in self._all_services:
            service.start()

    def _set_up_role(self, client: LivepeerEthClient) -> None:
        try:
            self._face.set_up(client)
        except (EthError, OSError) as error:
            raise Ended(f"Error setting up {self._face.mode.lower()}: {error}") from error
        client.service_uri = self._face.service_uri
        idle_file = os.path.join(self._values["datadir"], "NO-REWARD")
        seconds = self._own.reward_seconds
        self._services["RewardService"] = reward_service(client, self._ended, idle_file, seconds)
        if self._values["initializeRound"]:
            self._services["RoundsService"] = rounds_service(client, self._ended)
        self._all_services += self._services.values()

    def _start_records(self) -> None:
        try:
            self._records = Records(self._values["datadir"], self._records_failed)
        except OSError as error:
            raise Ended(f"Error opening records.log: {log.reason(error)}") from error
        log.info(f"Stand-in: writing records from number {self._records.next_number}")
        self._records.start()

    def _records_failed(self, error: OSError) -> None:
        """A data directory that takes no more writes must not look like a healthy node."""
        log.error(f"Error writing records.log: {log.reason(error)}")
        os._exit(1)

    def _serve(self, client: Optional[LivepeerEthClient], database: Database) -> None:
        face = self._face
        price = (self._values.get("pricePerUnit", 0), self._values.get("pixelsPerUnit", 1))
        facts = Facts(
            self._own, face.identity, face.addresses(), face.works, client, self._services, self._ended, database, price
        )
        try:
            face.serve(routes(facts))
        except (OSError, ValueError) as error:
            reason = log.reason(error) if isinstance(error, OSError) else str(error)
            raise Ended(f"Error from media server: listen tcp: {reason}") from error
        log.info(f"***Livepeer Running in {face.mode} Mode***")

    def _close(self, database: Database) -> None:
        """It sleeps half a second "for other processes to shut down" and returns; nothing is drained."""
        deadline = time.monotonic() + _STOP_SECONDS
        self._ended.set()
        for service in self._all_services:
            service.stop()
        if self._records:
            self._records.stop()
            log.info(f"Stand-in: wrote records up to number {self._records.next_number - 1}")
        database.close()
        threading.Event().wait(max(deadline - time.monotonic(), 0))
