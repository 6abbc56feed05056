"""The commands that only look, with the output formats recorded in ``tests/unit/facts/``."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from datetime import UTC, datetime

from tests.simulated.clock import START
from tests.simulated.disk import Disk, Entry, FileSystem
from tests.simulated.machine import BLOCK_TIME, GETH_ANSWERS, GETH_PEERS, LIVEPEER_ANSWERS, Machine
from tests.unit.facts.recorded import recorded
from transcoder import shape
from transcoder.actions import reward
from transcoder.actions.services import GETH_RPC
from transcoder.catalog.history import numbers
from transcoder.catalog.livepeer_api import Api
from transcoder.facts import (
    blkid,
    chronyc,
    ext4,
    findmnt,
    geth_rpc,
    keystore,
    livepeer_api,
    lsblk,
    reward_rpc,
    systemctl,
    wipefs,
)
from transcoder.guest import HOLD_DIRECTORY, MIB
from transcoder.layout import FETCH_PASSPHRASE, GETH, LIVEPEER, VOLUMES

Answer = tuple[int, str]
"""Exit code and standard output."""
Args = tuple[str, ...]
RECORDED_BOOT = 1_800_000_000.0
LISTING_FIELDS = "%f\\n"
ROOT = FileSystem("ext4", "cloudimg-rootfs", "3ea4c4b6-1d0f-4bd6-8b0e-0f8a2f0f1c11")
RELEASE = "/etc/transcoder/release.json"


def path_on_disk(machine: Machine, path: str) -> tuple[Disk, str] | None:
    """Return the disk mounted above ``path`` and the path on it; None where nothing is mounted."""
    for data in VOLUMES:
        if path == data.mount or path.startswith(data.mount + "/"):
            disk = machine.mounted_disk(data)
            return (disk, path[len(data.mount) :]) if disk else None
    raise AssertionError(f"no command of ours has business at {path}")


def entry_at(machine: Machine, path: str) -> Entry | None:
    """Return a file or directory on a mounted volume."""
    found = path_on_disk(machine, path)
    return found[0].needed().tree.get(found[1]) if found else None


def run_test(machine: Machine, argv: Args) -> Answer:
    """``test -x``: what only images of environments with a store of passphrases have."""
    assert argv == ("test", "-x", FETCH_PASSPHRASE), argv
    return (0 if machine.fetches_passphrases else 1), ""


def run_lsblk(machine: Machine, argv: Args) -> Answer:
    assert argv == lsblk.COMMAND, argv
    rows = [_row("/dev/nvme0n1", 32 * 1024**3, "vol0root", ROOT, "/")]
    for volume_id, device in machine.devices.items():
        disk, serial = machine.cloud.disks[volume_id], machine.serial_of(volume_id)
        fs = disk.filesystem
        target = next((at for at, mounted in machine.mounts.items() if mounted == volume_id), None)
        rows.append(_row(device, disk.size, serial, fs, target))
    # util-linux 2.31: every number is text, what is not there is null
    return 0, json.dumps({"blockdevices": rows}, indent=3)


def _row(name: str, size: int, serial: str | None, fs: FileSystem | None, at: str | None) -> object:
    known = {"fstype": fs.type, "label": fs.label or None, "uuid": fs.uuid} if fs else {}
    return {
        **{"name": name, "size": str(size), "serial": serial, "fstype": None, "label": None, "uuid": None},
        **{**known, "mountpoint": at, "type": "disk"},
    }


def run_findmnt(machine: Machine, argv: Args) -> Answer:
    assert argv == findmnt.COMMAND, argv
    rows = [{"target": "/", "source": "/dev/nvme0n1", "fstype": "ext4", "options": "rw,relatime"}]
    rows += [
        {"target": target, "source": machine.devices[volume_id], "fstype": "ext4", "options": f"{access},noatime"}
        for target, volume_id in machine.mounts.items()
        for access in ["ro" if target in machine.faults.read_only else "rw"]
    ]
    return 0, json.dumps({"filesystems": rows}, indent=3)


def run_grep(machine: Machine, argv: Args) -> Answer:
    assert argv == ext4.COMMAND, argv
    known = {machine.devices[volume_id].rpartition("/")[2]: target for target, volume_id in machine.mounts.items()}
    counts = {"nvme0n1": 0, **{name: machine.faults.errors.get(target, 0) for name, target in known.items()}}
    return 0, "".join(f"/sys/fs/ext4/{name}/errors_count:{count}\n" for name, count in counts.items())


def run_blkid(machine: Machine, argv: Args) -> Answer:
    assert argv == blkid.command(argv[-1]), argv
    disk, lines = machine.disk_at(argv[-1]), [f"DEVNAME={argv[-1]}"]
    fs = disk.filesystem
    if fs is not None:
        label = [f"LABEL={fs.label}"] if fs.label else []
        lines += [*label, f"UUID={fs.uuid}", "VERSION=1.0", f"TYPE={fs.type}", "USAGE=filesystem"]
    elif disk.table:
        lines += ["PTUUID=0fc3512f-7100-f745-ae46-f2f304149eb5", f"PTTYPE={disk.table}"]
    else:
        return blkid.NOTHING_FOUND, ""
    return 0, "\n".join(lines) + "\n"


def run_wipefs(machine: Machine, argv: Args) -> Answer:
    assert argv == wipefs.command(argv[-1]), argv
    disk = machine.disk_at(argv[-1])
    fs = disk.filesystem
    if fs is not None:
        return 0, f"{'0x438' if fs.type == 'ext4' else '0x0'},{fs.uuid},{fs.label},{fs.type}\n"
    return 0, "0x200,,,gpt\n0x3fffe00,,,gpt\n0x1fe,,,PMBR\n" if disk.table else ""


def run_cmp(machine: Machine, argv: Args) -> Answer:
    device, initial = argv[-2], argv[-3]
    disk = machine.disk_at(device)
    starts = [f"--ignore-initial={start}:0" for start in (0, disk.size - MIB)]
    assert argv[1:-3] == ("--quiet", f"--bytes={MIB}"), argv
    assert initial in starts, argv
    assert argv[-1] == "/dev/zero", argv
    return (0 if disk.zero_ends else 1), ""


def run_debugfs(machine: Machine, argv: Args) -> Answer:
    option, request, device = argv[1:]
    assert option == "-R", "debugfs may only read: no -w"
    filesystem = machine.disk_at(device).filesystem
    if filesystem is None or not filesystem.type.startswith("ext"):
        return 1, ""  # "Bad magic number in super-block while opening filesystem", on stderr
    tree = filesystem.tree
    if request == "ls -p /":
        names = [path for path in tree if path.count("/") == 1]
        dots = ["/2/040755/0/0/.//", "/2/040755/0/0/..//"]
        return 0, "\n".join([*dots, *(_listed(n, path, tree[path]) for n, path in enumerate(names, 11)), ""])
    verb, path = request.split(" ")
    assert verb == "cat", request
    return 0, (tree[path].data or b"").decode() if path in tree else ""


def _listed(inode: int, path: str, entry: Entry) -> str:
    kind, size = ("040", "") if entry.data is None else ("100", str(len(entry.data)))
    return f"/{inode}/{kind}{entry.mode:o}/{entry.uid}/{entry.gid}{path}/{size}/"


def run_ls(machine: Machine, argv: Args) -> Answer:
    assert argv == ("ls", "-A", HOLD_DIRECTORY), argv
    return 0, "".join(f"{unit}\n" for unit in sorted(machine.held))


def run_stat(machine: Machine, argv: Args) -> Answer:
    assert argv[1] == "--format=%u:%g %a", argv
    found = [entry_at(machine, path) for path in argv[2:]]
    lines = [f"{entry.uid}:{entry.gid} {entry.mode:o}\n" for entry in found if entry]
    return (0 if None not in found else 1), "".join(lines)


def run_find(machine: Machine, argv: Args) -> Answer:
    directory = argv[1]
    found = path_on_disk(machine, directory)
    if found is None or (found[1] and found[1] not in found[0].needed().tree):
        return 1, ""
    tree = found[0].needed().tree
    if argv == keystore.list_command(directory):
        prefix = found[1] + "/"
        inside = [
            path[len(prefix) :] for path, entry in tree.items() if path.startswith(prefix) and entry.data is not None
        ]
        return 0, "".join(f"{name}\n" for name in inside if "/" not in name)
    assert argv[2:] == ("-xdev", "(", "-uid", "1000", "-o", "-gid", "1000", ")", "-print", "-quit"), argv
    of_ubuntu = [path for path, entry in tree.items() if 1000 in (entry.uid, entry.gid)]
    return 0, "".join(f"{directory}{path}\n" for path in of_ubuntu[:1])


def run_cat(machine: Machine, argv: Args) -> Answer:
    (path,) = argv[1:]
    if path == RELEASE:
        return (0, _release(machine)) if machine.programs else (1, "")
    if path.startswith("/proc/"):
        pids = [unit.pid for unit in machine.units.values() if unit.pid]
        known = int(path.split("/")[2]) in pids
        return (0, recorded("limits", "service-237.txt")) if known else (1, "")
    entry = entry_at(machine, path)
    return (0, (entry.data or b"").decode()) if entry else (1, "")


def sha256(machine: Machine, path: str) -> str:
    """Return the sum of a file: of one on a volume its own, of the image's programs always the same."""
    entry = entry_at(machine, path) if path.startswith(tuple(f"{data.mount}/" for data in VOLUMES)) else None
    return hashlib.sha256((entry.data or b"") if entry else b"").hexdigest()


def run_base64(machine: Machine, argv: Args) -> Answer:
    wrap, path = argv[1:]
    assert wrap == "--wrap=0", argv
    entry = entry_at(machine, path)
    if entry is None or entry.data is None:
        return 1, f"base64: {path}: No such file or directory\n"
    return 0, base64.b64encode(entry.data).decode()


def _release(machine: Machine) -> str:
    programs = {name: {"version": version, "source": f"{name}.tar.gz"} for name, version in machine.programs.items()}
    return json.dumps({"digest": "0" * 64, "os": "ubuntu-18.04", **programs}, indent=2, sort_keys=True) + "\n"


def run_chronyc(machine: Machine, argv: Args) -> Answer:
    assert argv == chronyc.COMMAND, argv
    if machine.faults.unsynchronised:
        return 0, recorded("chronyc", "unsynchronised-3.2.txt")
    fields = recorded("chronyc", "synchronised-3.2.txt").split(",")
    fields[4] = f"{machine.faults.clock_offset - 0.00000689:.9f}"
    return 0, ",".join(fields)


def run_date(machine: Machine, argv: Args) -> Answer:
    assert argv == ("date", "+%s.%N"), argv
    return 0, f"{machine.clock.now() + machine.faults.clock_offset:.9f}\n"


def run_journalctl(machine: Machine, argv: Args) -> Answer:
    units = [argv[i + 1] for i, part in enumerate(argv) if part == "--unit"]
    assert units, "a journal without a unit is everybody's"
    lines = [line for unit in units for line in machine.journal.get(unit, [])]
    if "--output=json" not in argv:
        return 0, "".join(f"{line}\n" for line in lines)
    told = [_entry(number, line) for number, line in enumerate(lines, 1)]
    if "--after-cursor" in argv:
        return 0, "".join(told[int(argv[argv.index("--after-cursor") + 1]) :])
    assert "--reverse" in argv, "systemd 237 prints the first lines since a time"
    return 0, "".join(list(reversed(told))[: int(argv[argv.index("--lines") + 1])])


WRITTEN = re.compile(r"(\S+T\S+) (\S+) (\S+)\[(\d+)\]: (.*)", re.DOTALL)
"""A line of a test with its time, machine and program before it; others are livepeer's, a second apart."""


def _entry(number: int, line: str) -> str:
    at, host, name, pid, message = START + number, "ip-1", "livepeer", "7", line
    if found := WRITTEN.fullmatch(line):
        host, name, pid, message = found[2], found[3], found[4], found[5]
        at = datetime.fromisoformat(found[1]).timestamp()
    place = {"__CURSOR": str(number), "__REALTIME_TIMESTAMP": str(int(at * 1_000_000))}
    fields = {"SYSLOG_IDENTIFIER": name, "_PID": pid, "_HOSTNAME": host, "MESSAGE": message}
    return json.dumps({**place, **fields}) + "\n"


def show_units(machine: Machine, argv: Args) -> Answer:
    """``systemctl show``: a mount has neither MainPID nor NRestarts."""
    units = argv[argv.index("--") + 1 :]
    assert argv == systemctl.command(*units), argv
    return 0, "\n".join(_shown(machine, unit) for unit in units)


def _shown(machine: Machine, name: str) -> str:
    own = {unit for data in machine.parts for unit in (data.mount_unit, data.service.unit)}
    load = "not-found" if machine.faults.without_our_units or name not in own else "loaded"
    for data in VOLUMES:
        if name == data.mount_unit:
            state = ("active", "mounted") if data.mount in machine.mounts else ("inactive", "dead")
            return _block(["Result=success"], name, load, *state, "", "")
    unit = machine.unit(name)
    first = [f"MainPID={unit.pid}", f"Result={unit.result}", "NRestarts=0", f"StatusText={unit.told}"]
    since = _time(unit.since) if unit.active == "active" else ""
    return _block(first, name, load, unit.active, unit.sub, since, _time(unit.since) if unit.since else "")


def _block(first: list[str], name: str, load: str, active: str, sub: str, since: str, changed: str) -> str:
    lines = [*first, f"Id={name}", f"LoadState={load}", f"ActiveState={active}", f"SubState={sub}"]
    return "\n".join([*lines, f"ActiveEnterTimestamp={since}", f"StateChangeTimestamp={changed}", ""])


def _time(since: float) -> str:
    return datetime.fromtimestamp(START + since, UTC).strftime("%a %Y-%m-%d %H:%M:%S UTC")


def run_curl(machine: Machine, argv: Args, stdin: str | bytes) -> Answer:
    if argv == geth_rpc.command(GETH_RPC):
        assert geth_rpc.BODY in argv
        running = machine.since_start(GETH)
        return (0, _chain(machine, running)) if running >= GETH_ANSWERS else (7, "")
    if argv == reward_rpc.COMMAND:
        assert isinstance(stdin, str), "a request is text"
        return _trial(machine, stdin)
    api = _api(machine)
    if argv == reward.command(api):
        return _reward(machine, api)
    path, bodies = argv[-1].removeprefix(api.base), _livepeer_bodies(machine, api)
    assert argv == livepeer_api.command(path, api.base), argv
    assert path in bodies, f"not a question that the library may ask livepeer: {path}"
    if machine.faults.rpc_is_away and path != api.address:
        return 22, ""
    return (0, bodies[path]) if machine.since_start(LIVEPEER) >= LIVEPEER_ANSWERS else (7, "")


def _reward(machine: Machine, api: Api) -> Answer:
    """livepeer calls reward(). Up to v0.5.29 it answers 200 with an empty body, whatever comes of it."""
    if machine.faults.reward_routes_off:
        return 0, "404 page not found\n\n404"
    problem = machine.faults.reward_fails or machine.rounds.reward()
    if problem:
        machine.journal.setdefault(LIVEPEER.service.unit, []).append(f"Error calling reward: {problem}")
    return 0, f"{problem}\n500" if problem and not api.empty_is_failure else "\n200"


def _trial(machine: Machine, stdin: str) -> Answer:
    """A chain tries the call on its own state."""
    if machine.faults.rpc_is_away:
        return 7, ""
    data = next(line for line in stdin.splitlines() if line.startswith("data = "))
    batch = json.loads(json.loads(data.removeprefix("data = ")))
    before = copy.deepcopy(machine.rounds)
    counts = iter((hex(7), hex(7 + machine.rounds.waiting)))
    answers: list[object] = []
    for call in batch:
        result: dict[str, object] = {"result": hex(machine.rounds.gas_price)}
        if call["method"] == "eth_getTransactionCount":
            result = {"result": next(counts)}
        if call["method"] == "eth_estimateGas":
            problem = before.reward()
            message = f"execution reverted: {problem}"
            result = {"error": {"code": 3, "message": message}} if problem else {"result": hex(400_000)}
        answers.append({"jsonrpc": "2.0", "id": call["id"], **result})
    return 0, json.dumps(answers)


def run_python3(machine: Machine, argv: Args) -> Answer:
    """Python reads a round that is told in bytes."""
    api = _api(machine)
    number, *_ = livepeer_api.round_commands(api)
    assert argv == number, argv
    if machine.faults.rpc_is_away or machine.since_start(LIVEPEER) < LIVEPEER_ANSWERS:
        return 1, ""
    return 0, f"{machine.rounds.current}\n"


def _api(machine: Machine) -> Api:
    return shape.api_of(numbers(machine.programs.get("livepeer", "0.2.4")))


def _livepeer_bodies(machine: Machine, api: Api) -> dict[str, str]:
    """What livepeer answers, by path; a round in bytes is no text."""
    rounds, where = machine.rounds, api.own_record
    own = {"Address": machine.account, "LastRewardRound": rounds.last_reward, "Active": rounds.active}
    record = {**own, "DelegatedStake": 5 * 10**20, "Status": "Registered"}
    return {
        api.address: machine.account,
        **({api.current_round: str(rounds.current)} if api.round_form == "decimal" else {}),
        api.status: json.dumps({"NodeID": "", "Manifests": {str(n): {} for n in range(machine.faults.sessions)}}),
        **({api.metrics: f"livepeer_current_sessions_total {machine.faults.sessions}\n"} if api.metrics else {}),
        api.eth_balance: str(rounds.balance),
        api.contracts: json.dumps({"BondingManager": "0x" + "b" * 40}),
        api.round_initialized: "what?" if machine.faults.livepeer_talks_nonsense else str(rounds.initialized).lower(),
        where.route: json.dumps({where.key: record, "PriceInfo": "1200"} if where.key else record),
    }


def _chain(machine: Machine, running: float) -> str:
    peers = 0 if running < GETH_PEERS or machine.faults.geth_finds_no_peers else 3
    seen = machine.faults.geth_stalls_at or machine.clock.monotonic()
    head = int((seen - machine.faults.chain_behind) / BLOCK_TIME) + 1000
    seconds = int(START + (head - 1000) * BLOCK_TIME + machine.faults.chain_ahead)
    block = {"difficulty": "0x2", "number": hex(head), "timestamp": hex(seconds), "transactions": [], "uncles": []}
    if machine.faults.geth_tells_no_block_alone and not peers:
        return recorded("geth_rpc", "no-peers-error-1.8.27.json")
    results: tuple[object, ...] = (hex(peers), block, False, "0x539")
    return json.dumps([{"jsonrpc": "2.0", "id": number, "result": result} for number, result in enumerate(results)])
