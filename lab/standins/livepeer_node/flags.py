"""The flags of livepeer (cmd/livepeer/livepeer.go and glog), by version, their defaults and their words."""

import os
from typing import Tuple

from ..common.goflags import Flag
from .versions import FIRST, Version

_HOME = os.path.expanduser("~")
RINKEBY_CONTROLLER = "0x37dc71366ec655093b9930bc816e16e6b587f968"
MAINNET_CONTROLLER = "0xf96d54e490317c557a967abfa5d6e33006be69b3"
NETWORKS = {"mainnet": MAINNET_CONTROLLER, "rinkeby": RINKEBY_CONTROLLER}
"""The networks of -network whose contracts are known (v0.5.0 to v0.5.25)."""

_OF_0_2 = (
    Flag("p", "int", 15000, "port"),
    Flag("http", "string", "8935", "http port"),
    Flag("rtmp", "string", "1935", "rtmp port"),
    Flag("rtmpIP", "string", "127.0.0.1", "IP to bind for HTTP RPC commands"),
    Flag("httpIP", "string", "127.0.0.1", "IP to bind for HTTP RPC commands"),
    Flag("datadir", "string", os.path.join(_HOME, ".lpData"), "data directory"),
    Flag("bindIPs", "string", "", "Comma-separated list of IPs/ports to bind to"),
    Flag("bootIDs", "string", "", "Comma-separated bootstrap node IDs"),
    Flag("bootAddrs", "string", "", "Comma-separated bootstrap node addresses"),
    Flag("bootnode", "bool", False, "Set to true if starting bootstrap node"),
    Flag("transcoder", "bool", False, "Set to true to be a transcoder"),
    Flag("gateway", "bool", False, "Set to true to be a gateway node"),
    Flag("maxPricePerSegment", "string", "1", "Max price per segment for a broadcast job"),
    Flag("transcodingOptions", "string", "P240p30fps16x9,P360p30fps16x9", "Transcoding options for broadcast job"),
    Flag("ethAcctAddr", "string", "", "Existing Eth account address"),
    Flag("ethPassword", "string", "", "Password for existing Eth account address"),
    Flag("ethKeystorePath", "string", "", "Path for the Eth Key"),
    Flag("ethIpcPath", "string", "", "Path for eth IPC file"),
    Flag("ethUrl", "string", "", "geth/parity rpc or websocket url"),
    Flag("rinkeby", "bool", False, "Set to true to connect to rinkeby"),
    Flag("devenv", "bool", False, "Set to true to enable devenv"),
    Flag("controllerAddr", "string", "", "Protocol smart contract address"),
    Flag("gasLimit", "int", 0, "Gas limit for ETH transactions"),
    Flag("gasPrice", "int", 0, "Gas price for ETH transactions"),
    Flag("monitor", "bool", False, "Set to true to send performance metrics"),
    Flag("monitorhost", "string", "http://viz.livepeer.org:8081/metrics", "host name for the metrics data collector"),
    Flag("ipfsPath", "string", os.path.join(_HOME, ".ipfs"), "IPFS path"),
    Flag("noIPFSLogFiles", "bool", False, "Set to true if log files should not be generated"),
    Flag("offchain", "bool", False, "Set to true to start the node in offchain mode"),
    Flag("publicIP", "string", "", "Public IP address of the node"),
    Flag(
        "initializeRound",
        "bool",
        False,
        "Set to true if running as a transcoder and the node should automatically initialize new rounds",
    ),
    Flag("version", "bool", False, "Print out the version"),
    Flag("alsologtostderr", "bool", False, "log to standard error as well as files"),
    Flag("log_backtrace_at", "string", "", "when logging hits line file:N, emit a stack trace"),
    Flag("log_dir", "string", "", "If non-empty, write log files in this directory"),
    Flag("logtostderr", "bool", True, "log to standard error instead of files"),
    Flag("stderrthreshold", "string", "", "logs at or above this threshold go to stderr"),
    Flag("v", "int", 0, "log level for V logs"),
    Flag("vmodule", "string", "", "comma-separated list of pattern=N settings for file-filtered logging"),
)
_OF_0_5 = (
    Flag("network", "string", "offchain", "Network to connect to"),
    Flag("ethController", "string", "", "Protocol smart contract address"),
    Flag("orchestrator", "bool", False, "Set to true to be an orchestrator"),
    Flag("transcoder", "bool", False, "Set to true to be a transcoder"),
    Flag("broadcaster", "bool", False, "Set to true to be a broadcaster"),
    Flag("orchAddr", "string", "", "Orchestrator to connect to as a standalone transcoder"),
    Flag("orchSecret", "string", "", "Shared secret with the orchestrator as a standalone transcoder or path to file"),
    Flag("serviceAddr", "string", "", "Orchestrator only. Overrides the on-chain serviceURI"),
    Flag("httpAddr", "string", "", "Address to bind for HTTP commands"),
    Flag("cliAddr", "string", "127.0.0.1:7935", "Address to bind for CLI commands"),
    Flag("rtmpAddr", "string", "127.0.0.1:1935", "Address to bind for RTMP commands"),
    Flag("datadir", "string", "", "data directory"),
    Flag("ethAcctAddr", "string", "", "Existing Eth account address"),
    Flag("ethPassword", "string", "", "Password for existing Eth account address or path to file"),
    Flag("ethKeystorePath", "string", "", "Path for the Eth Key"),
    Flag("ethUrl", "string", "", "geth/parity rpc or websocket url"),
    Flag("gasLimit", "int", 0, "Gas limit for ETH transactions"),
    Flag("gasPrice", "int", 0, "Gas price for ETH transactions"),
    Flag("initializeRound", "bool", False, "Set to true to have the node automatically initialize new rounds"),
    Flag("blockPollingInterval", "int", 5, "Interval in seconds at which different blockchain event services poll"),
    Flag("pricePerUnit", "int", 0, "The price per 'pixelsPerUnit' amount pixels"),
    Flag("pixelsPerUnit", "int", 1, "Amount of pixels per unit"),
    Flag("maxSessions", "int", 10, "Maximum number of concurrent sessions"),
    Flag("nvidia", "string", "", "Comma-separated list of Nvidia GPU device IDs to use for transcoding"),
    Flag("monitor", "bool", False, "Set to true to send performance metrics"),
    Flag("version", "bool", False, "Print out the version"),
    Flag("v", "string", "", "Log verbosity"),
)


def flags(version: Version) -> Tuple[Flag, ...]:
    """Return the flags of a version; an unknown one ends livepeer with 2."""
    return _OF_0_2 if version == FIRST else _OF_0_5
