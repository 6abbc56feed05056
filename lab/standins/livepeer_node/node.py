"""A running node: what main() of 0.2.4 does, in its order. Most failures end it with exit code 0, as they did."""

import os
import signal
import socket
import threading
import time
from typing import Any, Dict, List, Optional

from ..common.address import checksummed
from ..common.rpc_client import RpcClient, Unreachable
from . import account, log
from .eth import EthError, LivepeerEthClient
from .flags import MAINNET_CONTROLLER, RINKEBY_CONTROLLER
from .services import Service, block_service, reward_service, rounds_service
from .state import Database, Records, node_id, open_ipfs
from .webserver import Facts, routes, serve_api, serve_libp2p, serve_rtmp

_STOP_SECONDS = 0.5


class Ended(Exception):
    """The node logs this text and ends with exit code 0."""


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


class Node:
    """One livepeer. `values` are its flags."""

    def __init__(self, values: Dict[str, Any]) -> None:
        self._values = values
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
        values = self._values
        self._choose_network()
        self._ensure_datadir()
        try:
            database = Database(values["datadir"])
        except Exception as error:
            raise Ended(f"Error opening DB {error}") from error
        try:
            identity = node_id(values["datadir"])
            serve_libp2p(values["p"])
        except OSError as error:
            raise Ended(f"Error creating a new node: {_reason(error)}") from error
        client = None
        if values["offchain"] or values["bootnode"] or values["gateway"]:
            log.info("***Livepeer is in off-chain mode***")
        else:
            client = self._set_up_eth()
            self._start_services(client, database)
        self._start_records()
        self._serve(identity, client)
        return database

    def _choose_network(self) -> None:
        values = self._values
        chosen = RINKEBY_CONTROLLER if values["rinkeby"] else MAINNET_CONTROLLER
        if values["offchain"] or values["devenv"]:
            return
        values["controllerAddr"] = values["controllerAddr"] or chosen
        if not values["ethUrl"]:
            network = "rinkeby" if values["rinkeby"] else "mainnet"
            values["ethUrl"] = f"wss://{network}.infura.io/ws"
        name = "Rinkeby test" if values["rinkeby"] else "Ethereum main"
        log.info(f"***Livepeer is running on the {name} network: {chosen}***")

    def _ensure_datadir(self) -> None:
        """One level only: a missing parent is an error that shows when the database cannot be opened."""
        datadir = self._values["datadir"]
        if not os.path.exists(datadir):
            log.info(f"Creating data dir: {datadir}")
            try:
                os.mkdir(datadir, 0o755)
            except OSError as error:
                log.error(f"Error creating datadir: mkdir {datadir}: {_reason(error)}")

    def _set_up_eth(self) -> LivepeerEthClient:
        values = self._values
        directory = account.key_store_directory(values["datadir"], values["ethKeystorePath"])
        rpc = RpcClient(values["ethIpcPath"] or values["ethUrl"])
        try:
            rpc.dial()
        except Unreachable as error:
            raise Ended(f"Failed to connect to Ethereum client: {error}") from error
        try:
            chosen = account.choose(directory, account.hex_to_address(values["ethAcctAddr"]))
            controller = account.hex_to_address(values["controllerAddr"])
            client = LivepeerEthClient(rpc, controller, values["gasLimit"])
        except (account.AccountError, EthError) as error:
            raise Ended(f"Failed to create client: {error}") from error
        client.gas_price = max(values["gasPrice"], 0)
        try:
            client.account = account.unlock(chosen, values["ethPassword"])
        except account.AccountError as error:
            raise Ended(f"Failed to setup client: {error}") from error
        return client

    def _start_services(self, client: LivepeerEthClient, database: Database) -> None:
        self._all_services = [block_service(client, database)]
        if self._values["transcoder"]:
            self._set_up_transcoder(client)
        for service in self._all_services:
            service.start()

    def _set_up_transcoder(self, client: LivepeerEthClient) -> None:
        try:
            if not self._values["publicIP"]:
                raise Ended("Error setting up transcoder: a transcoder needs -publicIP")
            state = "active" if client.is_active() else "inactive"
            log.info(f"Transcoder {checksummed(client.address)} is {state}")
            open_ipfs(self._values["ipfsPath"])
        except (EthError, OSError) as error:
            raise Ended(f"Error setting up transcoder: {error}") from error
        idle_file = os.path.join(self._values["datadir"], "NO-REWARD")
        self._services["RewardService"] = reward_service(client, self._ended, idle_file)
        if self._values["initializeRound"]:
            self._services["RoundsService"] = rounds_service(client, self._ended)
        self._all_services += self._services.values()

    def _start_records(self) -> None:
        try:
            self._records = Records(self._values["datadir"], self._records_failed)
        except OSError as error:
            raise Ended(f"Error opening records.log: {_reason(error)}") from error
        log.info(f"Stand-in: writing records from number {self._records.next_number}")
        self._records.start()

    def _records_failed(self, error: OSError) -> None:
        """A data directory that takes no more writes must not look like a healthy node."""
        log.error(f"Error writing records.log: {_reason(error)}")
        os._exit(1)

    def _serve(self, identity: str, client: Optional[LivepeerEthClient]) -> None:
        values = self._values
        addresses = ["/ip4/{}/tcp/{}".format(ip, values["p"]) for ip in _own_addresses(values["publicIP"])]
        facts = Facts(identity, addresses, values["transcoder"], client, self._services, self._ended)
        try:
            serve_api(values["httpIP"], int(values["http"]), routes(facts))
            serve_rtmp(values["rtmpIP"], int(values["rtmp"]))
        except (OSError, ValueError) as error:
            reason = _reason(error) if isinstance(error, OSError) else str(error)
            raise Ended(f"Error from media server: listen tcp: {reason}") from error
        mode = "Transcoder" if values["transcoder"] else "Bootnode" if values["bootnode"] else "Broadcaster"
        log.info(f"***Livepeer Running in {mode} Mode***")

    def _close(self, database: Database) -> None:
        """0.2.4 sleeps half a second "for other processes to shut down" and returns; nothing is drained."""
        deadline = time.monotonic() + _STOP_SECONDS
        self._ended.set()
        for service in self._all_services:
            service.stop()
        if self._records:
            self._records.stop()
            log.info(f"Stand-in: wrote records up to number {self._records.next_number - 1}")
        database.close()
        threading.Event().wait(max(deadline - time.monotonic(), 0))


def _own_addresses(public: str) -> List[str]:
    own = ["127.0.0.1"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the routing table which address would be used
            own.append(probe.getsockname()[0])
        except OSError as error:
            log.info(f"No route to the outside: {_reason(error)}")
    return own + ([public] if public else [])
