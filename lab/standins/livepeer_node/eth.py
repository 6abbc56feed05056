"""The protocol as the node sees it through its Ethereum node: eth_call for questions, signed transactions for deeds."""

import json
import threading
import time
from typing import Any, Dict, List, Optional

from ..common.address import checksummed
from ..common.keccak import keccak_256
from ..common.rpc_client import RpcClient, RpcError, Unreachable
from ..common.transaction import Transaction, signed
from . import log
from .account import Unlocked
from .versions import Personality

TRANSACTION_TIMEOUT = 600.0
_DEFAULT_GAS = 500000
_NAMES = ("LivepeerToken", "LivepeerTokenFaucet", "BondingManager", "RoundsManager", "Minter")
_OF_JOBS, _OF_TICKETS = ("JobsManager",), ("TicketBroker", "ServiceRegistry")
# what only the parts of the protocol use that the stand-in leaves out; the values of June 2018
_VERIFICATION: Dict[str, Any] = {
    "VerificationRate": 1000,
    "VerificationPeriod": 100,
    "SlashingPeriod": 100,
    "FailedVerificationSlashAmount": 0,
    "MissedVerificationSlashAmount": 0,
    "DoubleClaimSegmentSlashAmount": 0,
    "FinderFee": 0,
    "VerificationCodeHash": "QmUDDzyeZMxWRdHRR1zWLLn18qqH9kBYKKXSJ9BUiWCv22",
}


class EthError(Exception):
    """A question or a transaction failed; the text is for the log."""


def _selector(signature: str) -> bytes:
    return keccak_256(signature.encode())[:4]


class LivepeerEthClient:
    """Everything the node asks of the chain. Every method raises EthError."""

    def __init__(self, rpc: RpcClient, controller: bytes, gas_limit: int, own: Personality) -> None:
        self._rpc = rpc
        self._own = own
        self._gas_limit = gas_limit
        self._sending = threading.Lock()
        self.account: Optional[Unlocked] = None
        self.gas_price = 0
        self.service_uri = ""
        self.contracts = {"Controller": controller}
        for name in _NAMES + (_OF_JOBS if own.jobs else _OF_TICKETS):
            key = keccak_256(name.encode())
            self.contracts[name] = self._view("Controller", "getContract(bytes32)", key)[12:32]

    @property
    def address(self) -> bytes:
        """Of the account in use."""
        if self.account is None:
            raise EthError("account is locked")
        return self.account.address

    @property
    def shown(self) -> str:
        """The address as text."""
        return checksummed(self.address)

    def rpc(self, method: str, *params: Any) -> Any:
        """One call of the Ethereum node."""
        try:
            return self._rpc.call(method, *params)
        except (RpcError, Unreachable) as error:
            raise EthError(str(error)) from error

    def _view(self, contract: str, signature: str, *words: bytes) -> bytes:
        data = _selector(signature) + b"".join(word.rjust(32, b"\0") for word in words)
        call = {"to": "0x" + self.contracts[contract].hex(), "data": "0x" + data.hex()}
        return bytes.fromhex(str(self.rpc("eth_call", call, "latest"))[2:])

    def number(self, contract: str, signature: str, *words: bytes) -> int:
        """The first word of a view's answer."""
        answer = self._view(contract, signature, *words)
        if len(answer) < 32:
            raise EthError("abi: unmarshalling empty output: no contract code at given address")
        return int.from_bytes(answer[:32], "big")

    def current_round(self) -> int:
        """The number of the round that the newest block is in."""
        return self.number("RoundsManager", "currentRound()")

    def round_initialized(self) -> bool:
        """Whether somebody has initialized it."""
        return bool(self.number("RoundsManager", "currentRoundInitialized()"))

    def is_active(self) -> bool:
        """Whether this account is an active transcoder in this round; up to 2019 the protocol wants its number, too."""
        if not self._own.jobs:
            return bool(self.number("BondingManager", "isActiveTranscoder(address)", self.address))
        current = self.current_round().to_bytes(32, "big")
        return bool(self.number("BondingManager", "isActiveTranscoder(address,uint256)", self.address, current))

    def block_number(self) -> int:
        """The newest block."""
        return int(self.rpc("eth_blockNumber"), 16)

    def eth_balance(self) -> int:
        """In wei."""
        return int(self.rpc("eth_getBalance", "0x" + self.address.hex(), "latest"), 16)

    def token_balance(self) -> int:
        """In LPTU, the smallest part of an LPT."""
        return self.number("LivepeerToken", "balanceOf(address)", self.address)

    def transcoder(self) -> Dict[str, Any]:
        """eth/types/contracts.go: big integers are JSON numbers here, beyond what a double holds."""
        raw = self._view("BondingManager", "getTranscoder(address)", self.address)
        words = [int.from_bytes(raw[at : at + 32], "big") for at in range(0, len(raw), 32)]
        registered = self.number("BondingManager", "transcoderStatus(address)", self.address) == 1
        common = {
            "Address": "0x" + self.address.hex(),
            "LastRewardRound": words[0],
            "RewardCut": words[1],
            "FeeShare": words[2],
            "DelegatedStake": self.number("BondingManager", "transcoderTotalStake(address)", self.address),
            "Active": self.is_active(),
            "Status": "Registered" if registered else "Not Registered",
        }
        return {**common, **(self._prices(words) if self._own.jobs else {"ServiceURI": self.service_uri})}

    @staticmethod
    def _prices(words: List[int]) -> Dict[str, Any]:
        names = ("PricePerSegment", "PendingRewardCut", "PendingFeeShare", "PendingPricePerSegment")
        return dict(zip(names, words[3:]))

    def protocol_parameters(self) -> Dict[str, Any]:
        """The JSON object of /protocolParameters."""
        return {
            "NumActiveTranscoders": self.number("BondingManager", "numActiveTranscoders()"),
            "RoundLength": self.number("RoundsManager", "roundLength()"),
            "RoundLockAmount": self.number("RoundsManager", "roundLockAmount()"),
            "UnbondingPeriod": self.number("BondingManager", "unbondingPeriod()"),
            **(_VERIFICATION if self._own.jobs else dict.fromkeys(_VERIFICATION)),
            "Inflation": self.number("Minter", "inflation()"),
            "InflationChange": self.number("Minter", "inflationChange()"),
            "TargetBondingRate": self.number("Minter", "targetBondingRate()"),
            "TotalBonded": self.number("BondingManager", "getTotalBonded()"),
            "TotalSupply": self.number("LivepeerToken", "totalSupply()"),
            "Paused": bool(self.number("Controller", "paused()")),
        }

    def addresses(self) -> Dict[str, str]:
        """The JSON object of /contractAddresses: lower case, as Go marshals an address."""
        return {name: "0x" + address.hex() for name, address in self.contracts.items()}

    def transact(self, contract: str, signature: str, ended: threading.Event) -> str:
        """Sign, send and wait until it is mined; the hash. EthError when it is refused, reverts or takes too long."""
        with self._sending:
            digest = self._send(contract, signature)
        deadline = time.monotonic() + TRANSACTION_TIMEOUT
        while time.monotonic() < deadline and not ended.is_set():
            receipt = self.rpc("eth_getTransactionReceipt", digest)
            if receipt:
                if receipt["status"] != "0x1":
                    raise EthError(f"tx {digest} failed")
                return digest
            ended.wait(0.25)
        raise EthError("context deadline exceeded")

    def _send(self, contract: str, signature: str) -> str:
        if self.account is None:
            raise EthError("account is locked")
        price = self.gas_price or int(self.rpc("eth_gasPrice"), 16)
        nonce = int(self.rpc("eth_getTransactionCount", "0x" + self.address.hex(), "pending"), 16)
        chain = int(self.rpc("net_version"))
        to, gas = self.contracts[contract], self._gas_limit or _DEFAULT_GAS
        raw = signed(Transaction(nonce, price, gas, to, 0, _selector(signature)), self.account.private, chain)
        digest = str(self.rpc("eth_sendRawTransaction", "0x" + raw.hex()))
        log.info(f"Submitted {signature} tx {digest} from {checksummed(self.address)}", "client.go:1")
        return digest


def to_json(value: Any) -> str:
    """As Go marshals: no blanks."""
    return json.dumps(value, separators=(",", ":"))
