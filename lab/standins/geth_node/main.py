"""The command line of geth 1.8.27."""

import os
import sys
from typing import Any, List, Optional, Sequence

from ..common import goflags
from ..common.keystore import make_private_directory
from ..common.rpc_client import RpcClient, RpcError, Unreachable
from . import accounts, config
from .api import COMMIT, VERSION
from .command_line import FLAGS, HELP, Choices, apply
from .config import Config, Fatal
from .node import Node, run

STAND_IN = "This is a stand-in for geth {}, made for rehearsals; it is not go-ethereum.".format(VERSION.split("-")[0])
_VERSION = """Geth
Version: {}
Git Commit: {}
Architecture: amd64
Protocol Versions: [63 62]
Network Id: 1
Go Version: go1.11.9
Operating System: linux
GOPATH=
GOROOT=/usr/local/go
{}"""
_ACCOUNT_FLAGS = ("datadir", "keystore", "password", "lightkdf")
_ATTACH_FLAGS = ("datadir", "exec", "jspath", "preload", "testnet", "rinkeby")
_EXPRESSIONS = {
    "eth.syncing": "eth_syncing",
    "eth.blockNumber": "eth_blockNumber",
    "net.peerCount": "net_peerCount",
    "admin.peers.length": "admin_peers",
}


def _parse(allowed: Sequence[goflags.Flag], words: Sequence[str], choices: Choices) -> Optional[List[str]]:
    """Read one part of the command line; None after printing what geth prints when it is wrong or asks for help."""
    try:
        parsed = goflags.parse(allowed, words)
    except goflags.HelpRequested:
        print(HELP)
        return None
    except goflags.FlagError as error:
        print(f"Incorrect Usage. {error}\n\n{HELP}")
        raise
    choices.add(parsed.values, parsed.given)
    return parsed.words


def _only(names: Sequence[str]) -> List[goflags.Flag]:
    return [flag for flag in FLAGS if flag.name in names]


def _configuration(choices: Choices) -> Config:
    chosen = config.defaults()
    if choices.values["config"]:
        config.load(choices.values["config"], chosen)
    apply(chosen, choices)
    return chosen


def _account(words: List[str], choices: Choices) -> int:
    rest = _parse(_only(_ACCOUNT_FLAGS), words, choices)
    if not rest or rest[0] not in ("new", "list"):
        print(HELP)
        return 0
    if _parse(_only(_ACCOUNT_FLAGS), rest[1:], choices) is None:
        return 0
    chosen = _configuration(choices)
    return accounts.create(chosen, choices) if rest[0] == "new" else accounts.show(chosen)


def _javascript(value: Any, indent: int = 2) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        inner = ",\n".join("{}{}: {}".format(" " * indent, key, _javascript(item)) for key, item in value.items())
        return "{\n" + inner + "\n}"
    if isinstance(value, list):
        return str(len(value))
    return str(int(value, 16))


def _attach(words: List[str], choices: Choices) -> int:
    rest = _parse(_only(_ATTACH_FLAGS), words, choices)
    if rest is None:
        return 0
    expression = choices.values["exec"].strip().rstrip(";")
    endpoint = rest[0] if rest else os.path.join(_configuration(choices)[("Node",)]["DataDir"], "geth.ipc")
    if not expression:
        raise Fatal("the stand-in has no JavaScript console: use attach --exec with one of " + ", ".join(_EXPRESSIONS))
    if expression not in _EXPRESSIONS:
        form = "the stand-in cannot evaluate {!r}: it knows {}"
        raise Fatal(form.format(expression, ", ".join(sorted(_EXPRESSIONS))))
    try:
        client = RpcClient(endpoint)
        client.dial()
        print(_javascript(client.call(_EXPRESSIONS[expression])))
    except (Unreachable, RpcError) as error:
        raise Fatal(f"Unable to attach to remote geth: {error}") from error
    return 0


def _dump(words: List[str], choices: Choices) -> int:
    if _parse(FLAGS, words, choices) is None:
        return 0
    chosen = _configuration(choices)
    # the real one builds a node first, which makes the key store
    make_private_directory(accounts.key_store_directory(chosen))
    sys.stdout.write(config.dump(chosen))
    return 0


def _command(words: List[str], choices: Choices) -> int:
    name, rest = (words[0], words[1:]) if words else ("", [])
    if name == "version":
        print(_VERSION.format(VERSION, COMMIT, STAND_IN))
        return 0
    if name in ("help", "h"):
        print(HELP)
        return 0
    commands = {"account": _account, "attach": _attach, "dumpconfig": _dump}
    if name in commands:
        return commands[name](rest, choices)
    if name:
        # cmd/geth/main.go: a word that is no command is refused
        sys.stderr.write(f"invalid command: {_quoted(name)}\n")
        return 1
    return run(Node(_configuration(choices), choices))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def main(arguments: Sequence[str]) -> int:
    """Run geth with these words; the exit code."""
    choices = Choices()
    try:
        words = _parse(FLAGS, arguments, choices)
        if words is None:
            return 0
        if choices.values["version"] or choices.values["v"]:
            print(f"geth version {VERSION}-{COMMIT[:8]}\n{STAND_IN}")
            return 0
        return _command(words, choices)
    except goflags.FlagError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except Fatal as error:
        sys.stderr.write(f"Fatal: {error}\n")
        return 1
    except (PermissionError, OSError) as error:
        sys.stderr.write("Fatal: {}: {}\n".format(error.filename or "", (error.strerror or str(error)).lower()))
        return 1
