"""geth's configuration file and command line: what 1.8.27 takes, and how it refuses the rest."""

from pathlib import Path

import pytest

from lab.standins.geth_node import toml
from tests.unit.lab.standins.programs import run

# The keys that operators of 2019 had in their file; geth 1.8.27's dumpconfig gives back exactly this.
REFERENCE = """[Eth]
NetworkId = 1
SyncMode = "light"
NoPruning = false
LightPeers = 100
DatabaseCache = 256
TrieCleanCache = 128
TrieDirtyCache = 128
TrieTimeout = 3600000000000
MinerGasFloor = 8000000
MinerGasCeil = 8000000
MinerGasPrice = 1000000000
MinerRecommit = 3000000000
MinerNoverify = false
EnablePreimageRecording = false
EWASMInterpreter = ""
EVMInterpreter = ""

[Eth.Ethash]
CacheDir = "ethash"
CachesInMem = 2
CachesOnDisk = 3
DatasetDir = "/d2/geth-data/.ethash"
DatasetsInMem = 1
DatasetsOnDisk = 2
PowMode = 0

[Eth.TxPool]
Locals = []
NoLocals = false
Journal = "transactions.rlp"
Rejournal = 3600000000000
PriceLimit = 1
PriceBump = 10
AccountSlots = 16
GlobalSlots = 4096
AccountQueue = 64
GlobalQueue = 1024
Lifetime = 10800000000000

[Eth.GPO]
Blocks = 20
Percentile = 60

[Shh]
MaxMessageSize = 1048576
MinimumAcceptedPOW = 2e-01
RestrictConnectionBetweenLightClients = true

[Node]
DataDir = "{datadir}"
IPCPath = "geth.ipc"
HTTPHost = "127.0.0.1"
HTTPPort = 8545
HTTPVirtualHosts = ["localhost"]
HTTPModules = ["db", "eth", "net", "web3"]
WSHost = "127.0.0.1"
WSPort = 8546
WSOrigins = ["*"]
WSModules = ["net", "web3", "eth", "shh"]

[Node.P2P]
MaxPeers = 25
NoDiscovery = true
DiscoveryV5 = true
BootstrapNodes = ["enode://a979@52.16.188.185:30303", "enode://3f1d@13.93.211.84:30303"]
BootstrapNodesV5 = ["enode://0605@35.177.226.168:30303"]
StaticNodes = []
TrustedNodes = []
ListenAddr = ":30303"
EnableMsgEvents = false

[Node.HTTPTimeouts]
ReadTimeout = 30000000000
WriteTimeout = 30000000000
IdleTimeout = 120000000000

[Dashboard]
Host = "localhost"
Port = 8080
Refresh = 5000000000
"""
GODOC = "see https://godoc.org/github.com/ethereum/go-ethereum"


def dump(tmp_path: Path, text: str, *words: str) -> tuple[int, str, str]:
    path = tmp_path / "geth.toml"
    path.write_text(text)
    result = run("geth", "--config", str(path), *words, "dumpconfig", home=tmp_path)
    return result.returncode, result.stdout, result.stderr


def test_the_file_of_the_reference_loads_and_dumps_as_it_is(tmp_path: Path) -> None:
    text = REFERENCE.replace("{datadir}", str(tmp_path / "data"))
    code, stdout, stderr = dump(tmp_path, "# a comment\n" + text)
    assert (code, stderr) == (0, "")
    assert stdout.strip() == "# Note: this config doesn't contain the genesis block.\n\n" + text.strip()


def test_a_minimal_file_loads_with_comments_and_arrays_over_several_lines(tmp_path: Path) -> None:
    text = f"""
[Eth]  # the chain
SyncMode = "light"
[Node]
DataDir = '{tmp_path}/data'
HTTPModules = [
  "eth",  # blocks
  "net",
]
"""
    code, stdout, _ = dump(tmp_path, text)
    assert code == 0
    assert 'HTTPModules = ["eth", "net"]' in stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[Eth]\n\nGasPrice = 1\n", f"line 3: field 'GasPrice' is not defined in eth.Config, {GODOC}/eth#Config"),
        ("[Eth]\nTrieCache = 1\n", f"line 2: field 'TrieCache' is not defined in eth.Config, {GODOC}/eth#Config"),
        ("[Node]\nFooBar = 1\n", f"line 2: field 'FooBar' is not defined in node.Config, {GODOC}/node#Config"),
        ("[Node.P2P]\nPort = 1\n", f"line 2: field 'Port' is not defined in p2p.Config, {GODOC}/p2p#Config"),
        ("[Metrics]\nEnabled = true\n", "line 1: field 'Metrics' is not defined in main.gethConfig\n"),
        ("[Eth.Miner]\nGasFloor = 1\n", "line 1: field 'Miner' is not defined in eth.Config"),
        ('[Eth]\nNetworkId = "1"\n', "line 2: (eth.Config.NetworkId) cannot unmarshal TOML string into uint64\n"),
        ("[Node]\nNoUSB = 1\n", "line 2: (node.Config.NoUSB) cannot unmarshal TOML integer into bool\n"),
        (
            "[Eth]\nDatabaseHandles = 1\n",
            "line 2: field corresponding to `DatabaseHandles' in eth.Config cannot be set",
        ),
        ('[Eth]\nSyncMode = "snap"\n', 'unknown sync mode "snap", want "full", "fast" or "light"\n'),
        ("[Eth]\nNetworkId 1\n", "line 2: invalid TOML syntax\n"),
    ],
)
def test_what_the_version_does_not_know_ends_it_with_the_words_of_geth(tmp_path: Path, text: str, message: str) -> None:
    code, _, stderr = dump(tmp_path, text)
    assert code == 1
    assert stderr.startswith(f"Fatal: {tmp_path}/geth.toml, line ")
    assert message in stderr


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    result = run("geth", "--config", "nofile.toml", home=tmp_path)
    assert (result.returncode, result.stderr) == (1, "Fatal: open nofile.toml: no such file or directory\n")


@pytest.mark.parametrize("flag", ["--http", "--light", "--http.addr=1", "--authrpc.port", "--goerli"])
def test_a_flag_of_another_version_is_refused(tmp_path: Path, flag: str) -> None:
    result = run("geth", flag, home=tmp_path)
    name = flag.lstrip("-").split("=")[0]
    assert result.returncode == 1
    assert result.stdout.startswith(f"Incorrect Usage. flag provided but not defined: -{name}\n")
    assert result.stderr == f"flag provided but not defined: -{name}\n"


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    text = f'[Node]\nDataDir = "{tmp_path}/a"\nHTTPHost = "127.0.0.1"\n'
    words = ("--datadir", str(tmp_path / "b"), "--maxpeers", "7", "--rpcport=9999", "--cache", "512")
    _, stdout, _ = dump(tmp_path, text, *words)
    for line in (f'DataDir = "{tmp_path}/b"', "MaxPeers = 7", "HTTPPort = 9999", "DatabaseCache = 256"):
        assert line + "\n" in stdout


def test_rpcaddr_without_rpc_changes_nothing(tmp_path: Path) -> None:
    _, stdout, _ = dump(tmp_path, f'[Node]\nDataDir = "{tmp_path}/a"\n', "--rpcaddr", "0.0.0.0")
    assert "HTTPHost" not in stdout


def test_light_mode_by_flag_turns_on_the_discovery_that_light_mode_by_file_does_not(tmp_path: Path) -> None:
    text = f'[Eth]\nSyncMode = "light"\n[Node]\nDataDir = "{tmp_path}/a"\n'
    assert "DiscoveryV5" not in dump(tmp_path, text)[1]
    assert "DiscoveryV5 = true\n" in dump(tmp_path, text, "--syncmode", "light")[1]


def test_version_names_the_version_and_that_it_is_a_stand_in(tmp_path: Path) -> None:
    lines = run("geth", "version", home=tmp_path).stdout.splitlines()
    assert lines[:3] == ["Geth", "Version: 1.8.27-stable", "Git Commit: 4bcc0a37ab70cb79b16893556cffdaad6974e7d8"]
    assert "stand-in" in lines[-1]


@pytest.mark.parametrize("text", ["[Eth", 'a = "x', "a = [1, 2", "a = 1 b = 2", "= 1", "a = tru"])
def test_text_that_is_not_toml_is_refused(text: str) -> None:
    with pytest.raises(toml.TomlError, match="invalid TOML syntax"):
        toml.parse(text)
