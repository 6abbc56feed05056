"""The JSON-RPC methods, with the answers and errors that geth 1.8.27 gives (field by field as measured)."""

import json
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..common.address import parse_address
from .chain import Chain, ChainError, block_hash
from .protocol import GAS_USED, Reverted

VERSION = "1.8.27-stable"
COMMIT = "4bcc0a37ab70cb79b16893556cffdaad6974e7d8"
_IPC_MODULES = ("admin", "debug", "eth", "miner", "net", "personal", "rpc", "txpool", "web3")
_PARSE_ERROR, _INVALID_REQUEST, _NO_METHOD, _INVALID_PARAMS, _SERVER_ERROR = -32700, -32600, -32601, -32602, -32000


class Identity(NamedTuple):
    """What the node says of itself."""

    network_id: int
    chain_id: int
    user_ident: str
    max_peers: int


class CallError(Exception):
    """A JSON-RPC error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def quantity(value: int) -> str:
    """0x and hexadecimal without leading zeros."""
    return hex(value)


def _integer(text: Any, position: int) -> int:
    if not isinstance(text, str):
        form = "invalid argument {}: json: cannot unmarshal non-string into Go value of type hexutil.Uint64"
        raise CallError(_INVALID_PARAMS, form.format(position))
    if not re.match(r"^0x(0|[1-9a-fA-F][0-9a-fA-F]*)$", text):
        why = "hex string without 0x prefix" if not text.startswith("0x") else "invalid hex string"
        raise CallError(_INVALID_PARAMS, f"invalid argument {position}: {why}")
    return int(text, 16)


def _bytes(text: Any, position: int) -> bytes:
    try:
        if isinstance(text, str) and text.startswith("0x"):
            return bytes.fromhex(text[2:])
    except ValueError:
        raise CallError(_INVALID_PARAMS, f"invalid argument {position}: invalid hex string") from None
    raise CallError(_INVALID_PARAMS, f"invalid argument {position}: hex string without 0x prefix")


def _address(text: Any, position: int) -> bytes:
    try:
        return parse_address(str(text))
    except ValueError:
        form = "invalid argument {}: hex string has length {}, want 40 for common.Address"
        raise CallError(_INVALID_PARAMS, form.format(position, len(str(text)) - 2)) from None


Method = Callable[[Sequence[Any]], Any]


class Api:
    """Answers requests for one node. `modules` limit what a door offers; IPC offers all."""

    def __init__(self, chain: Chain, identity: Identity) -> None:
        self._chain = chain
        self._identity = identity
        self._methods = {**self._node_methods(), **self._state_methods(), **self._transaction_methods()}

    def _node_methods(self) -> Dict[str, Tuple[int, Method]]:
        chain, identity = self._chain, self._identity
        return {
            "eth_syncing": (0, lambda _: self._syncing()),
            "eth_blockNumber": (0, lambda _: quantity(chain.head)),
            "eth_chainId": (0, lambda _: quantity(identity.chain_id)),
            "eth_protocolVersion": (0, lambda _: "0x2711" if chain.light else "0x3f"),
            "eth_accounts": (0, lambda _: []),
            "eth_mining": (0, lambda _: False),
            "net_peerCount": (0, lambda _: quantity(chain.peers)),
            "net_version": (0, lambda _: str(identity.network_id)),
            "net_listening": (0, lambda _: True),
            "web3_clientVersion": (0, lambda _: self.client_version()),
            "admin_peers": (0, lambda _: self._peers()),
            "admin_nodeInfo": (0, lambda _: {"name": self.client_version(), "listenAddr": "[::]:30303"}),
        }

    def _state_methods(self) -> Dict[str, Tuple[int, Method]]:
        return {
            "eth_gasPrice": (0, lambda _: self._remote(lambda: quantity(10**9))),
            "eth_getBlockByNumber": (2, self._get_block),
            "eth_getBalance": (2, self._get_balance),
            "eth_getTransactionCount": (2, self._get_nonce),
            "eth_getCode": (2, lambda _: self._remote(lambda: "0x")),
            "eth_call": (2, self._call),
            "eth_estimateGas": (1, lambda _: self._remote(lambda: quantity(GAS_USED))),
            "eth_getLogs": (1, self._get_logs),
        }

    def _transaction_methods(self) -> Dict[str, Tuple[int, Method]]:
        return {
            "eth_sendRawTransaction": (1, self._send),
            "eth_getTransactionReceipt": (1, self._get_receipt),
            "eth_getTransactionByHash": (1, self._get_transaction),
        }

    @property
    def head(self) -> int:
        """The newest block of this node."""
        return self._chain.head

    @property
    def peer_count(self) -> int:
        """How many peers are connected."""
        return self._chain.peers

    def client_version(self) -> str:
        """The real form; the name slot says that this is the stand-in unless the operator has named the node."""
        name = self._identity.user_ident or "standin"
        return f"Geth/{name}/v{VERSION}-{COMMIT[:8]}/linux-amd64/go1.11.9"

    def answer(self, text: str, modules: Optional[Sequence[str]]) -> str:
        """The answer to a request or a batch, as JSON text without line end; "" when all were notifications."""
        try:
            request = json.loads(text)
        except ValueError as error:
            return json.dumps(_failure(None, CallError(_PARSE_ERROR, f"invalid JSON: {error}")))
        if not isinstance(request, list):
            return json.dumps(self._one(request, modules), separators=(",", ":"))
        return json.dumps([self._one(item, modules) for item in request], separators=(",", ":"))

    def _one(self, request: Any, modules: Optional[Sequence[str]]) -> Dict[str, Any]:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _failure(None, CallError(_INVALID_REQUEST, "invalid request"))
        number = request.get("id")
        try:
            result = self._call_method(request["method"], request.get("params") or [], modules)
        except CallError as error:
            return _failure(number, error)
        except (ChainError, Reverted, ValueError, OSError) as error:
            return _failure(number, CallError(_SERVER_ERROR, str(error)))
        return {"jsonrpc": "2.0", "id": number, "result": result}

    def _call_method(self, name: str, params: List[Any], modules: Optional[Sequence[str]]) -> Any:
        module = name.partition("_")[0]
        if name == "rpc_modules":
            offered = _IPC_MODULES if modules is None else sorted({*modules, "rpc"} & set(_IPC_MODULES))
            return dict.fromkeys(offered, "1.0")
        if name not in self._methods or (modules is not None and module not in modules):
            raise CallError(_NO_METHOD, f"The method {name} does not exist/is not available")
        wanted, method = self._methods[name]
        if len(params) > wanted:
            form = "too many arguments, want at most {}"
            raise CallError(_INVALID_PARAMS, form.format(wanted))
        if len(params) < wanted:
            raise CallError(_INVALID_PARAMS, f"missing value for required argument {len(params)}")
        return method(params)

    def _remote(self, answer: Callable[[], Any]) -> Any:
        self._chain.need_peers()
        return answer()

    def _syncing(self) -> Any:
        state = self._chain.syncing()
        if state is None:
            return False
        return {
            "currentBlock": quantity(state["current"]),
            "highestBlock": quantity(state["highest"]),
            "knownStates": "0x0",
            "pulledStates": "0x0",
            "startingBlock": quantity(state["starting"]),
        }

    def _peers(self) -> List[Dict[str, Any]]:
        peer = {"id": block_hash(0, "peer")[2:], "name": "Geth/standin-peer/v1.8.27-stable/linux-amd64/go1.11.9"}
        return [peer] * self._chain.peers

    def _block_number(self, tag: Any, position: int) -> int:
        named = {"latest": self._chain.head, "pending": self._chain.head, "earliest": 0}
        return named[tag] if isinstance(tag, str) and tag in named else _integer(tag, position)

    def _get_block(self, params: Sequence[Any]) -> Optional[Dict[str, Any]]:
        number = self._block_number(params[0], 0)
        if number > self._chain.head:
            return None
        zero = "0x" + "0" * 64
        return {
            "difficulty": "0x7a1200",
            "extraData": "0x7374616e642d696e",
            "gasLimit": "0x7a1200",
            "gasUsed": "0x0",
            "hash": block_hash(number),
            "logsBloom": "0x" + "0" * 512,
            "miner": "0x" + "0" * 40,
            "mixHash": zero,
            "nonce": "0x0000000000000000",
            "number": quantity(number),
            "parentHash": block_hash(number - 1) if number else zero,
            "receiptsRoot": block_hash(number, "receipts"),
            "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
            "size": "0x25e",
            "stateRoot": block_hash(number, "state"),
            "timestamp": quantity(int(self._chain.block_time(number))),
            "totalDifficulty": quantity(8000000 * (number + 1)),
            "transactions": [],
            "transactionsRoot": block_hash(number, "transactions"),
            "uncles": [],
        }

    def _get_balance(self, params: Sequence[Any]) -> str:
        address = _address(params[0], 0)
        return str(self._remote(lambda: quantity(self._chain.contracts.balance(address))))

    def _get_nonce(self, params: Sequence[Any]) -> str:
        address = _address(params[0], 0)
        return str(self._remote(lambda: quantity(self._chain.nonce(address, params[1] == "pending"))))

    def _call(self, params: Sequence[Any]) -> str:
        if not isinstance(params[0], dict):
            raise CallError(_INVALID_PARAMS, "invalid argument 0: json: cannot unmarshal into ethapi.CallArgs")
        to, data = _address(params[0].get("to"), 0), _bytes(params[0].get("data", "0x"), 0)
        number = self._block_number(params[1], 1)
        with self._chain.lock:
            return str(self._remote(lambda: "0x" + self._chain.contracts.call(to, data, number).hex()))

    def _send(self, params: Sequence[Any]) -> str:
        return self._chain.send(_bytes(params[0], 0))

    def _get_receipt(self, params: Sequence[Any]) -> Optional[Dict[str, Any]]:
        receipt = self._chain.receipt(str(params[0]))
        if receipt is None:
            return None
        return {
            "blockHash": block_hash(receipt["block"]),
            "blockNumber": quantity(receipt["block"]),
            "contractAddress": None,
            "cumulativeGasUsed": quantity(GAS_USED),
            "from": receipt["from"],
            "gasUsed": quantity(GAS_USED),
            "logs": [],
            "logsBloom": "0x" + "0" * 512,
            "status": quantity(receipt["status"]),
            "to": receipt["to"],
            "transactionHash": receipt["hash"],
            "transactionIndex": "0x0",
        }

    def _get_transaction(self, params: Sequence[Any]) -> Optional[Dict[str, Any]]:
        waiting = self._chain.waits(str(params[0]))
        if waiting:
            return {"hash": params[0], "blockNumber": None, "nonce": quantity(waiting.transaction.nonce)}
        mined = self._chain.receipt(str(params[0]))
        return {"hash": mined["hash"], "blockNumber": quantity(mined["block"])} if mined else None

    def _get_logs(self, params: Sequence[Any]) -> List[Dict[str, Any]]:
        wanted = params[0] if isinstance(params[0], dict) else {}
        head = self._chain.head
        first = self._block_number(wanted.get("fromBlock") or quantity(head), 0)
        last = self._block_number(wanted.get("toBlock") or "latest", 0)
        found = self._remote(self._chain.events)
        return [_log(event) for event in found if first <= event["block"] <= last and _matches(event, wanted)]


def _matches(event: Dict[str, Any], wanted: Dict[str, Any]) -> bool:
    addresses = wanted.get("address") or [event["address"]]
    addresses = [addresses] if isinstance(addresses, str) else addresses
    if event["address"] not in [address.lower() for address in addresses]:
        return False
    for position, topic in enumerate(wanted.get("topics") or []):
        choices = [topic] if isinstance(topic, str) else topic
        if choices and event["topics"][position : position + 1] not in [[choice.lower()] for choice in choices]:
            return False
    return True


def _log(event: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "address": event["address"],
        "topics": event["topics"],
        "data": event["data"],
        "blockNumber": quantity(event["block"]),
        "transactionHash": event["transaction"],
        "transactionIndex": "0x0",
        "blockHash": block_hash(event["block"]),
        "logIndex": "0x0",
        "removed": False,
    }


def _failure(number: Any, error: CallError) -> Dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": error.code, "message": str(error)}}
