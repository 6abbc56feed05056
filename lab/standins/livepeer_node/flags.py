"""The flags of livepeer 0.2.4 (cmd/livepeer/livepeer.go and glog), their defaults and their words."""

import os

from ..common.goflags import Flag

_HOME = os.path.expanduser("~")
RINKEBY_CONTROLLER = "0x37dc71366ec655093b9930bc816e16e6b587f968"
MAINNET_CONTROLLER = "0xf96d54e490317c557a967abfa5d6e33006be69b3"

FLAGS = (
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
