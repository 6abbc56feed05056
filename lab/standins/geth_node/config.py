"""geth's configuration: which TOML key exists in 1.8.19-1.8.27, of which type, with which default."""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from . import toml

Config = Dict[Tuple[str, ...], Dict[str, Any]]
_HOUR = 3600000000000


class Fatal(Exception):
    """Ends geth with "Fatal: ..." and exit code 1."""


class Key(NamedTuple):
    """One key: its Go type, its default, and whether dumpconfig leaves it out when it is empty."""

    kind: str
    default: Any
    omit_empty: bool = False


class Table(NamedTuple):
    """One table: the Go type it fills, that type's address on godoc, and its keys in the order of the dump."""

    type_name: str
    godoc: str
    keys: Dict[str, Key]
    not_toml: Tuple[str, ...] = ()


def _omit(kind: str, default: Any) -> Key:
    return Key(kind, default, True)


_HOME = os.path.expanduser("~")
_ROOT = "github.com/ethereum/go-ethereum/"

# fmt: off
TABLES: Dict[Tuple[str, ...], Table] = {
    ("Eth",): Table("eth.Config", _ROOT + "eth#Config", {
        "NetworkId": Key("uint64", 1), "SyncMode": Key("downloader.SyncMode", "fast"), "NoPruning": Key("bool", False),
        "LightServ": _omit("int", 0), "LightPeers": _omit("int", 100), "DatabaseCache": Key("int", 512),
        "TrieCleanCache": Key("int", 256), "TrieDirtyCache": Key("int", 256), "TrieTimeout": Key("int64", _HOUR),
        "Etherbase": _omit("string", ""), "MinerNotify": _omit("[]string", []), "MinerExtraData": _omit("string", ""),
        "MinerGasFloor": Key("uint64", 8000000), "MinerGasCeil": Key("uint64", 8000000),
        "MinerGasPrice": Key("int", 1000000000), "MinerRecommit": Key("int64", 3000000000),
        "MinerNoverify": Key("bool", False), "EnablePreimageRecording": Key("bool", False),
        "EWASMInterpreter": Key("string", ""), "EVMInterpreter": Key("string", ""),
    }, ("SkipBcVersionCheck", "DatabaseHandles", "DocRoot")),
    ("Eth", "Ethash"): Table("ethash.Config", _ROOT + "consensus/ethash#Config", {
        "CacheDir": Key("string", "ethash"), "CachesInMem": Key("int", 2), "CachesOnDisk": Key("int", 3),
        "DatasetDir": Key("string", os.path.join(_HOME, ".ethash")), "DatasetsInMem": Key("int", 1),
        "DatasetsOnDisk": Key("int", 2), "PowMode": Key("uint", 0),
    }),
    ("Eth", "TxPool"): Table("core.TxPoolConfig", _ROOT + "core#TxPoolConfig", {
        "Locals": Key("[]string", []), "NoLocals": Key("bool", False), "Journal": Key("string", "transactions.rlp"),
        "Rejournal": Key("int64", _HOUR), "PriceLimit": Key("uint64", 1), "PriceBump": Key("uint64", 10),
        "AccountSlots": Key("uint64", 16), "GlobalSlots": Key("uint64", 4096), "AccountQueue": Key("uint64", 64),
        "GlobalQueue": Key("uint64", 1024), "Lifetime": Key("int64", 3 * _HOUR),
    }),
    ("Eth", "GPO"): Table("gasprice.Config", _ROOT + "eth/gasprice#Config", {
        "Blocks": Key("int", 20), "Percentile": Key("int", 60), "Default": _omit("int", 0),
    }),
    ("Shh",): Table("whisperv6.Config", _ROOT + "whisper/whisperv6#Config", {
        "MaxMessageSize": _omit("uint32", 1048576), "MinimumAcceptedPOW": _omit("float64", 0.2),
        "RestrictConnectionBetweenLightClients": _omit("bool", True),
    }),
    ("Node",): Table("node.Config", _ROOT + "node#Config", {
        "UserIdent": _omit("string", ""), "DataDir": Key("string", os.path.join(_HOME, ".ethereum")),
        "KeyStoreDir": _omit("string", ""), "UseLightweightKDF": _omit("bool", False), "NoUSB": _omit("bool", False),
        "IPCPath": _omit("string", "geth.ipc"), "HTTPHost": _omit("string", ""), "HTTPPort": _omit("int", 8545),
        "HTTPCors": _omit("[]string", []), "HTTPVirtualHosts": _omit("[]string", ["localhost"]),
        "HTTPModules": _omit("[]string", ["net", "web3", "eth", "shh"]), "WSHost": _omit("string", ""),
        "WSPort": _omit("int", 8546), "WSOrigins": _omit("[]string", []),
        "WSModules": _omit("[]string", ["net", "web3", "eth", "shh"]), "WSExposeAll": _omit("bool", False),
    }, ("Name", "Version", "Logger")),
    ("Node", "P2P"): Table("p2p.Config", _ROOT + "p2p#Config", {
        "MaxPeers": Key("int", 25), "MaxPendingPeers": _omit("int", 0), "NoDiscovery": Key("bool", False),
        "DiscoveryV5": _omit("bool", False), "BootstrapNodes": Key("[]string", []),
        "BootstrapNodesV5": _omit("[]string", []), "StaticNodes": Key("[]string", []),
        "TrustedNodes": Key("[]string", []), "NetRestrict": _omit("[]string", []),
        "NodeDatabase": _omit("string", ""), "ListenAddr": Key("string", ":30303"), "NoDial": _omit("bool", False),
        "EnableMsgEvents": Key("bool", False),
    }, ("PrivateKey", "Name", "Protocols", "Dialer")),
    ("Node", "HTTPTimeouts"): Table("rpc.HTTPTimeouts", _ROOT + "rpc#HTTPTimeouts", {
        "ReadTimeout": Key("int64", 30000000000), "WriteTimeout": Key("int64", 30000000000),
        "IdleTimeout": Key("int64", 120000000000),
    }),
    ("Ethstats",): Table("main.ethstatsConfig", "", {"URL": _omit("string", "")}),
    ("Dashboard",): Table("dashboard.Config", _ROOT + "dashboard#Config", {
        "Host": _omit("string", "localhost"), "Port": _omit("int", 8080), "Refresh": _omit("int64", 5000000000),
    }),
}
# fmt: on

_TOML_KINDS = {bool: "boolean", int: "integer", float: "float", str: "string", list: "array"}
_SYNC_MODES = ("full", "fast", "light")


def defaults() -> Config:
    """The configuration of a geth that was told nothing."""
    return {path: {name: key.default for name, key in table.keys.items()} for path, table in TABLES.items()}


def check_sync_mode(mode: str) -> str:
    """`mode` itself; Fatal for "snap", which later versions have and 1.8 has not."""
    if mode not in _SYNC_MODES:
        raise Fatal(f'unknown sync mode "{mode}", want "full", "fast" or "light"')
    return mode


def _missing(name: str, table: Optional[Table]) -> str:
    """geth's MissingField (cmd/geth/config.go): a link only for exported types outside package main."""
    if table is None:
        return f"field '{name}' is not defined in main.gethConfig"
    link = f", see https://godoc.org/{table.godoc} for available fields" if table.godoc else ""
    return f"field '{name}' is not defined in {table.type_name}{link}"


def _has_type(value: Any, kind: str) -> bool:
    if kind.startswith("[]"):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == "float64":
        return type(value) in (int, float)
    return type(value) is {"bool": bool, "string": str, "downloader.SyncMode": str}.get(kind, int)


def _checked(table: Table, name: str, value: Any) -> Any:
    if name in table.not_toml:
        raise Fatal(f"field corresponding to `{name}' in {table.type_name} cannot be set through TOML")
    if name not in table.keys:
        raise Fatal(_missing(name, table))
    kind, where = table.keys[name].kind, f"({table.type_name}.{name})"
    if not _has_type(value, kind):
        raise Fatal(f"{where} cannot unmarshal TOML {_TOML_KINDS[type(value)]} into {kind}")
    if kind == "downloader.SyncMode":
        return check_sync_mode(value)
    if kind.startswith("uint") and value < 0:
        raise Fatal(f"{where} value {value} is out of range")
    return value


def _parent(path: Tuple[str, ...]) -> Optional[Table]:
    return TABLES.get(path[:-1]) if len(path) > 1 else None


def _apply(config: Config, entry: toml.Entry) -> None:
    for depth in range(1, len(entry.table) + 1):
        path = entry.table[:depth]
        if path not in TABLES:
            raise Fatal(_missing(path[-1], _parent(path)))
    if not entry.key:
        return
    if not entry.table:
        raise Fatal(_missing(entry.key, None))
    config[entry.table][entry.key] = _checked(TABLES[entry.table], entry.key, entry.value)


def load(path: str, config: Config) -> None:
    """Put what the file at `path` says into `config`; Fatal in geth's words for anything it does not know."""
    try:
        with open(path) as file:
            text = file.read()
    except FileNotFoundError as error:
        raise Fatal(f"open {path}: no such file or directory") from error
    except PermissionError as error:
        raise Fatal(f"open {path}: permission denied") from error
    line = 0
    try:
        for entry in toml.parse(text):
            line = entry.line
            _apply(config, entry)
    except toml.TomlError as error:
        raise Fatal(f"{path}, line {error.line}: {error}") from error
    except Fatal as error:
        raise Fatal(f"{path}, line {line}: {error}") from error


def _rendered(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        mantissa, exponent = f"{value:e}".split("e")
        digits = mantissa.rstrip("0").rstrip(".")
        return "{}e{}{:02d}".format(digits, "-" if int(exponent) < 0 else "+", abs(int(exponent)))
    if isinstance(value, list):
        return "[" + ", ".join(_rendered(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def _lines(path: Tuple[str, ...], values: Dict[str, Any]) -> List[str]:
    shown = [
        f"{name} = {_rendered(values[name])}"
        for name, key in TABLES[path].keys.items()
        if values[name] or not key.omit_empty
    ]
    return ["[" + ".".join(path) + "]", *shown, ""] if shown else []


def dump(config: Config) -> str:
    """The text of `geth dumpconfig`."""
    lines = ["# Note: this config doesn't contain the genesis block.", ""]
    for path in TABLES:
        lines += _lines(path, config[path])
    return "\n".join(lines) + "\n"
