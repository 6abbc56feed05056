"""What a node is to others, by generation: its network, its role, its ports, its identity beside the key.

`Libp2p` is livepeer up to 0.2, `Orchestrator` livepeer from v0.5.0. `of` chooses. A face that cannot be raises Ended,
or OSError where the system says no.
"""

import os
from typing import Any, Callable, Dict, List, Union

from . import log, work
from .addresses import own_addresses, split
from .eth import LivepeerEthClient
from .flags import MAINNET_CONTROLLER, NETWORKS, RINKEBY_CONTROLLER
from .state import node_id, open_ipfs
from .versions import Personality
from .webserver import Handler, serve_api, serve_libp2p, serve_rtmp

Values = Dict[str, Any]


class Ended(Exception):
    """The node logs this text and ends with exit code 0."""


class Libp2p:
    """0.2: a peer of a libp2p network; API and media on one port, on loopback."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.off_chain: bool = values["offchain"] or values["bootnode"] or values["gateway"]
        self.works: bool = values["transcoder"]
        self.mode = "Transcoder" if self.works else "Bootnode" if values["bootnode"] else "Broadcaster"
        self.endpoint: str = values["ethIpcPath"]
        self.controller: str = values["controllerAddr"]
        self.identity = ""
        self.service_uri = ""

    def choose_network(self) -> None:
        """Without a flag it is the main net, and without -ethUrl Infura's node."""
        values = self._values
        chosen = RINKEBY_CONTROLLER if values["rinkeby"] else MAINNET_CONTROLLER
        self.endpoint = self.endpoint or values["ethUrl"]
        if values["offchain"] or values["devenv"]:
            return
        self.controller = self.controller or chosen
        self.endpoint = self.endpoint or "wss://{}.infura.io/ws".format("rinkeby" if values["rinkeby"] else "mainnet")
        name = "Rinkeby test" if values["rinkeby"] else "Ethereum main"
        log.info(f"***Livepeer is running on the {name} network: {chosen}***")

    def ensure_datadir(self) -> str:
        """One level only: a missing parent is an error that shows when the database cannot be opened."""
        return _ensure(self._values["datadir"], os.mkdir)

    def open(self) -> None:
        """Open the port that other nodes see, with the identity of keys.json."""
        self.identity = node_id(self._values["datadir"])
        serve_libp2p(self._values["p"])

    def set_up(self, client: LivepeerEthClient) -> None:
        """Become a transcoder: EthError or OSError when that cannot be."""
        if not self._values["publicIP"]:
            raise Ended("Error setting up transcoder: a transcoder needs -publicIP")
        log.info(f"Transcoder {client.shown} is {_activity(client)}")
        open_ipfs(self._values["ipfsPath"])

    def serve(self, table: Dict[str, Handler]) -> None:
        """Open the API and the ingest port."""
        values = self._values
        serve_api(values["httpIP"], int(values["http"]), table)
        serve_rtmp(values["rtmpIP"], int(values["rtmp"]))

    def addresses(self) -> List[str]:
        """Return what /nodeAddrs tells."""
        return ["/ip4/{}/tcp/{}".format(ip, self._values["p"]) for ip in own_addresses(self._values["publicIP"])]


class Orchestrator:
    """v0.5: an orchestrator that transcodes itself; its API on loopback, and a port with TLS for others."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.off_chain: bool = values["network"] == "offchain"
        self.works: bool = values["orchestrator"]
        self.mode = "Orchestrator"
        self.endpoint: str = values["ethUrl"]
        self.controller: str = values["ethController"]
        self.identity = ""
        self.service_uri = "https://" + values["serviceAddr"]

    def choose_network(self) -> None:
        """Without -network it is off-chain."""
        name = self._values["network"]
        self.controller = self.controller or NETWORKS.get(name, "")
        if not (self.works and self._values["transcoder"]):
            raise Ended(
                "Stand-in: it is an orchestrator that transcodes itself, with -orchestrator -transcoder, or nothing"
            )
        known = f" network: {self.controller}***" if name in NETWORKS else " network***"
        log.info(f"***Livepeer is running on the {name}{known}")
        self.endpoint = self.endpoint or f"wss://{name}.infura.io/ws"

    def ensure_datadir(self) -> str:
        """Each missing level is made; without -datadir it is that of the network."""
        values = self._values
        default = os.path.join(os.environ.get("HOME") or os.path.expanduser("~"), ".lpData", values["network"])
        values["datadir"] = values["datadir"] or default
        return _ensure(values["datadir"], os.makedirs)

    def open(self) -> None:
        """No other node sees it yet, and it has no identity but its key."""

    def set_up(self, client: LivepeerEthClient) -> None:
        """Become an orchestrator: EthError when that cannot be."""
        log.info(f"Orchestrator {client.shown} is {_activity(client)}")

    def serve(self, table: Dict[str, Handler]) -> None:
        """Open the API and the work port, the latter with a certificate that is made at each start."""
        values = self._values
        if not values["serviceAddr"]:
            raise Ended("Error getting service URI: the stand-in asks nobody for its address and needs -serviceAddr")
        host, port = split(values["serviceAddr"], "", 8935)
        serve_api(*split(values["cliAddr"], "127.0.0.1", 7935), table)
        log.info("CLI server listening on " + values["cliAddr"], "webserver.go:1")
        work.serve(*split(values["httpAddr"], "0.0.0.0", port), work.certificate(values["datadir"], host))

    def addresses(self) -> List[str]:
        """Nothing asks for it any more."""
        return []


Face = Union[Libp2p, Orchestrator]


def of(own: Personality, values: Values) -> Face:
    """Return the face of a version."""
    return Libp2p(values) if own.libp2p else Orchestrator(values)


def _activity(client: LivepeerEthClient) -> str:
    return "active" if client.is_active() else "inactive"


def _ensure(datadir: str, make: Callable[..., None]) -> str:
    if not os.path.exists(datadir):
        log.info(f"Creating data dir: {datadir}")
        try:
            make(datadir, 0o755)
        except OSError as error:
            log.error(f"Error creating datadir: mkdir {datadir}: {log.reason(error)}")
    return datadir
