"""The flags of geth 1.8.27 and what they do to the configuration."""

from typing import Any, Dict, List, Set

from ..common.goflags import Flag
from .config import Config, Fatal, check_sync_mode

_STRINGS = (
    "config identity unlock password bootnodes bootnodesv4 bootnodesv5 datadir keystore dashboard.addr "
    "dashboard.refresh ethash.cachedir ethash.dagdir txpool.locals txpool.journal txpool.rejournal txpool.lifetime "
    "syncmode gcmode whitelist miner.notify miner.etherbase etherbase miner.extradata extradata miner.recommit nat "
    "netrestrict nodekey nodekeyhex rpcaddr rpcapi rpccorsdomain rpcvhosts wsaddr wsapi wsorigins ipcpath ethstats "
    "metrics.influxdb.endpoint metrics.influxdb.database metrics.influxdb.username metrics.influxdb.password "
    "metrics.influxdb.host.tag vm.ewasm vm.evm shh.pow vmodule backtrace pprofaddr cpuprofile trace jspath exec preload"
).split()
_NUMBERS = (
    "dashboard.port ethash.cachesinmem ethash.cachesondisk ethash.dagsinmem ethash.dagsondisk txpool.pricelimit "
    "txpool.pricebump txpool.accountslots txpool.globalslots txpool.accountqueue txpool.globalqueue lightserv "
    "lightpeers cache cache.database cache.trie cache.gc trie-cache-gens port maxpeers maxpendpeers miner.threads "
    "minerthreads miner.gastarget targetgaslimit miner.gaslimit miner.gasprice gasprice dev.period rpcport wsport "
    "networkid gpoblocks gpopercentile shh.maxmessagesize verbosity pprofport memprofilerate blockprofilerate"
).split()
_SWITCHES = (
    "nousb dashboard txpool.nolocals lightkdf mine miner.noverify nodiscover v5disc dev testnet rinkeby vmdebug rpc "
    "ws ipcdisable metrics metrics.influxdb fakepow nocompaction shh shh.restrict-light debug pprof version v"
).split()
_DEFAULTS: Dict[str, Any] = {
    "cache": 1024,
    "cache.database": 50,
    "cache.trie": 25,
    "cache.gc": 25,
    "verbosity": 3,
    "pprofaddr": "127.0.0.1",
    "pprofport": 6060,
    "port": 30303,
    "maxpeers": 25,
    "rpcport": 8545,
    "wsport": 8546,
    "rpcaddr": "localhost",
    "wsaddr": "localhost",
    "gcmode": "full",
    "syncmode": "fast",
    "networkid": 1,
    "nat": "any",
}

FLAGS = [
    *(Flag(name, "string", _DEFAULTS.get(name, "")) for name in _STRINGS),
    *(Flag(name, "int", _DEFAULTS.get(name, 0)) for name in _NUMBERS),
    *(Flag(name, "bool", False) for name in _SWITCHES),
]

HELP = """NAME:
   geth - the go-ethereum command line interface

   Copyright 2013-2019 The go-ethereum Authors

USAGE:
   geth [options] command [command options] [arguments...]

COMMANDS:
   account     Manage accounts
   attach      Start an interactive JavaScript environment (connect to node)
   dumpconfig  Show configuration values
   version     Print version numbers
   help, h     Shows a list of commands or help for one command

(this is a stand-in: the other commands of geth do not exist in it)
"""


class Choices:
    """The flags that were given, global and of the command, the later one winning."""

    def __init__(self) -> None:
        self.values = {flag.name: flag.default for flag in FLAGS}
        self.given: Set[str] = set()

    def add(self, values: Dict[str, Any], given: List[str]) -> None:
        """Take over what one part of the command line set."""
        for name in given:
            self.values[name] = values[name]
            self.given.add(name)


def _set(config: Config, choices: Choices, flag: str, table: str, key: str) -> None:
    if flag in choices.given:
        config[tuple(table.split("."))][key] = choices.values[flag]


def _names(text: str) -> List[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def apply(config: Config, choices: Choices) -> None:
    """Flags win over the file, as in cmd/utils/flags.go; Fatal for a value that cannot be."""
    for flag, table, key in (
        ("datadir", "Node", "DataDir"),
        ("keystore", "Node", "KeyStoreDir"),
        ("lightkdf", "Node", "UseLightweightKDF"),
        ("nousb", "Node", "NoUSB"),
        ("identity", "Node", "UserIdent"),
        ("networkid", "Eth", "NetworkId"),
        ("lightserv", "Eth", "LightServ"),
        ("lightpeers", "Eth", "LightPeers"),
        ("maxpeers", "Node.P2P", "MaxPeers"),
        ("maxpendpeers", "Node.P2P", "MaxPendingPeers"),
        ("v5disc", "Node.P2P", "DiscoveryV5"),
        ("nodiscover", "Node.P2P", "NoDiscovery"),
        ("ipcpath", "Node", "IPCPath"),
        ("ethstats", "Ethstats", "URL"),
    ):
        _set(config, choices, flag, table, key)
    _apply_sync(config, choices)
    _apply_cache(config[("Eth",)], choices)
    _apply_door(config[("Node",)], choices, "rpc", "HTTP")
    _apply_door(config[("Node",)], choices, "ws", "WS")
    node = config[("Node",)]
    if "rpccorsdomain" in choices.given:
        node["HTTPCors"] = _names(choices.values["rpccorsdomain"])
    if "rpcvhosts" in choices.given:
        node["HTTPVirtualHosts"] = _names(choices.values["rpcvhosts"])
    if "wsorigins" in choices.given:
        node["WSOrigins"] = _names(choices.values["wsorigins"])
    if choices.values["ipcdisable"]:
        node["IPCPath"] = ""
    if "port" in choices.given:
        config[("Node", "P2P")]["ListenAddr"] = ":{}".format(choices.values["port"])
    if choices.values["dev"]:
        _apply_dev(config, choices)


def _apply_sync(config: Config, choices: Choices) -> None:
    eth, peers = config[("Eth",)], config[("Node", "P2P")]
    if "syncmode" in choices.given:
        eth["SyncMode"] = check_sync_mode(choices.values["syncmode"])
        if eth["SyncMode"] == "light":  # only the flag does this, SyncMode in the file does not
            peers["NoDiscovery"], peers["DiscoveryV5"] = True, True
    if choices.values["gcmode"] not in ("full", "archive"):
        raise Fatal("--gcmode must be either 'full' or 'archive'")
    eth["NoPruning"] = choices.values["gcmode"] == "archive"


def _apply_cache(eth: Dict[str, Any], choices: Choices) -> None:
    total = choices.values["cache"]
    shares = {"cache.database": "DatabaseCache", "cache.trie": "TrieCleanCache", "cache.gc": "TrieDirtyCache"}
    for flag, key in shares.items():
        if choices.given & {"cache", flag}:
            eth[key] = total * choices.values[flag] // 100


def _apply_door(node: Dict[str, Any], choices: Choices, flag: str, key: str) -> None:
    if choices.values[flag]:
        # --rpcaddr without --rpc changes nothing (measured)
        node[key + "Host"] = choices.values[flag + "addr"] if flag + "addr" in choices.given else "127.0.0.1"
    if flag + "port" in choices.given:
        node[key + "Port"] = choices.values[flag + "port"]
    if flag + "api" in choices.given:
        node[key + "Modules"] = _names(choices.values[flag + "api"])


def _apply_dev(config: Config, choices: Choices) -> None:
    peers = config[("Node", "P2P")]
    peers["NoDiscovery"], peers["MaxPeers"], peers["ListenAddr"] = True, 0, ":0"
    if "networkid" not in choices.given:
        config[("Eth",)]["NetworkId"] = 1337
