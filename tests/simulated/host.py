"""Implements `transcoder.world.Host`: answers exactly the command lines that the library sends, and no other."""

from __future__ import annotations

import base64
import fnmatch
import json
import posixpath
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from tests.simulated import looks
from tests.simulated.disk import KEY, Disk, Entry, key_files
from tests.simulated.looks import Answer, Args, entry_at, path_on_disk
from tests.simulated.machine import Machine
from transcoder.actions.keys import COPY_DATABASE
from transcoder.errors import Failed, Unreachable
from transcoder.facts import chronyc
from transcoder.guest import HOLD_DIRECTORY
from transcoder.layout import GETH, KEYSTORE, LIVEPEER
from transcoder.recipes.create_key import NEW_ACCOUNT
from transcoder.world import Command as WorldCommand
from transcoder.world import Output, command_line

LOOKS = {
    **{"lsblk": looks.run_lsblk, "findmnt": looks.run_findmnt, "blkid": looks.run_blkid, "wipefs": looks.run_wipefs},
    **{"cmp": looks.run_cmp, "debugfs": looks.run_debugfs, "ls": looks.run_ls, "stat": looks.run_stat},
    **{"find": looks.run_find, "cat": looks.run_cat, "journalctl": looks.run_journalctl},
    **{"chronyc": looks.run_chronyc, "date": looks.run_date, "python3": looks.run_python3, "base64": looks.run_base64},
    **{"test": looks.run_test, "grep": looks.run_grep},
}
MOVES = (["--no-clobber"], ["--force"])
ANYBODY = frozenset({"lsblk", "findmnt", "ls", "curl", "chronyc", "date", "python3", "grep"})
"""Programs that need no root. ``systemctl`` needs none to show."""


@dataclass(frozen=True)
class Command:
    """One command that a machine was given."""

    machine: str
    argv: Args
    stdin: str | bytes

    @property
    def changes_something(self) -> bool:
        """Whether it is more than a look."""
        name, rest = self.argv[0], self.argv[1:]
        harmless = is_look(self.argv) or name in ("sync", "sha256sum") or is_about_itself(self.argv)
        harmless = harmless or is_for_people(self.argv)
        harmless = harmless or (name == "curl" and not self.argv[-1].endswith("/reward"))
        harmless = harmless or rest[:1] in (("show",), ("is-system-running",))
        return not harmless and rest[:1] != ("settle",)


def is_look(argv: Args) -> bool:
    """Tell whether a command is one of the looks: ``find`` can delete, too."""
    return argv[0] in LOOKS and argv[-1] != "-delete"


def is_about_itself(argv: Args) -> bool:
    """Tell whether a program is only asked for its version or its help."""
    return argv[1:] in (("-V",), ("--help",))


def is_for_people(argv: Args) -> bool:
    """Tell whether a command only prints what nobody here reads but a person."""
    if argv[0] in ("uname", "uptime", "free", "df", "ss") or argv[:2] == ("ls", "-la"):
        return True
    if argv[0] == "journalctl":
        return "--unit" not in argv
    if argv[0] == "cat":
        return argv[1].startswith("/etc/") and argv[1] != looks.RELEASE
    return argv[:2] in (("systemctl", "cat"), ("systemctl", "list-units")) or (
        argv[0] == "chronyc" and argv != chronyc.COMMAND
    )


class SimulatedHost:
    """A machine that takes commands. What it does not know is a mistake in the library or in here: it says so."""

    def __init__(self, machine: Machine, name: str, lock: threading.RLock, log: list[Command]) -> None:
        self.name = name
        self._machine, self._lock, self._log = machine, lock, log

    def run(
        self, *argv: str, stdin: str | bytes = "", sudo: bool = True, ok: Sequence[int] = (0,), timeout: float = 60.0
    ) -> Output:
        """Run a command; see `transcoder.world.Host`."""
        self._last(argv, timeout)
        with self._lock:
            self._machine.catch_up()
            if not self._machine.answers():
                raise Unreachable(f"{self.name}: no answer over SSH: timed out")
            self._log.append(Command(self._machine.instance_id, argv, stdin))
            assert sudo or _needs_no_root(argv), f"needs root: {command_line(argv)}"
            code, out = self._answer(argv, stdin)
            self._machine.catch_up()
            if code not in ok:
                raise Failed(f"{self.name}: {command_line(argv)} ended with {code}: {out.strip()[-1500:]}")
            return Output(argv, code, out, "" if code == 0 else out)

    def run_all(self, *commands: WorldCommand, sudo: bool = True, timeout: float = 60.0) -> tuple[Output, ...]:
        """Run commands one after the other; see `transcoder.world.Host`."""
        return tuple(self.run(*command.argv, sudo=sudo, ok=command.ok, timeout=timeout) for command in commands)

    def _last(self, argv: Args, timeout: float) -> None:
        """Let the time pass that the command takes, which is nothing for most of them."""
        seconds = self._machine.stop_takes(argv[2]) if argv[:2] == ("systemctl", "stop") else 0.0
        if not seconds or not self._machine.answers():
            return
        self._machine.clock.sleep(min(seconds, timeout))
        if seconds > timeout:
            self._machine.cloud.later(seconds - timeout, lambda: self._machine.stop(argv[2]))
            raise Unreachable(f"{self.name}: {command_line(argv)} has not ended after {timeout:.0f} s")

    def _answer(self, argv: Args, stdin: str | bytes) -> Answer:
        if is_about_itself(argv):
            return 0, ""
        if argv[0] == "sha256sum":
            return 0, "".join(f"{looks.sha256(self._machine, path)}  {path}\n" for path in argv[1:])
        if argv in self._machine.says or is_for_people(argv):
            return 0, self._machine.says.get(argv, "")
        if is_look(argv):
            return LOOKS[argv[0]](self._machine, argv)
        if argv[0] == "curl":
            return looks.run_curl(self._machine, argv, stdin)
        act = getattr(self, "_run_" + argv[0].replace(".", "_"), None)
        assert act is not None, f"a command line that no simulated machine knows: {command_line(argv)}"
        answer: Answer = act(argv, stdin)
        return answer

    # systemd

    def _run_systemctl(self, argv: Args, stdin: str | bytes) -> Answer:
        verb = argv[1]
        if verb == "show":
            return looks.show_units(self._machine, argv)
        if verb == "is-system-running":
            return (0, "running\n") if self._machine.booted() else (1, "starting\n")
        assert len(argv) == 3, argv
        if verb == "start":
            problem = self._machine.start(argv[2])
            return (1, f"Job for {argv[2]} failed: {problem}\n") if problem else (0, "")
        assert verb == "stop", argv
        if problem := self._machine.busy(argv[2]):
            return 1, problem
        self._machine.stop(argv[2])
        return 0, ""

    # the hold directory, and files on volumes

    def _run_mkdir(self, argv: Args, stdin: str | bytes) -> Answer:
        assert argv == ("mkdir", "-p", HOLD_DIRECTORY), argv
        return 0, ""

    def _run_touch(self, argv: Args, stdin: str | bytes) -> Answer:
        self._machine.held |= {_held_unit(path) for path in argv[1:]}
        return 0, ""

    def _run_rm(self, argv: Args, stdin: str | bytes) -> Answer:
        assert argv[1] == "-f", argv
        self._machine.held -= {_held_unit(path) for path in argv[2:]}
        return 0, ""

    def _run_find(self, argv: Args, stdin: str | bytes) -> Answer:
        _, directory, depth, one, by_name, pattern, delete = argv
        assert (depth, one, by_name, delete) == ("-maxdepth", "1", "-name", "-delete"), argv
        found = path_on_disk(self._machine, directory)
        assert found is not None, f"{directory} is on no volume"
        for path in [path for path in found[0].needed().tree if posixpath.dirname(path) == found[1]]:
            if fnmatch.fnmatchcase(posixpath.basename(path), pattern):
                found[0].put(path, None)
        return 0, ""

    def _run_install(self, argv: Args, stdin: str | bytes) -> Answer:
        if argv[1] == "-d":
            _, _, dash_o, user, dash_g, group, dash_m, mode, path = argv
            assert (dash_o, dash_g, dash_m) == ("-o", "-g", "-m"), argv
            return self._put(path, Entry(int(mode, 8), int(user), int(group)))
        dash_m, mode, *owner, source, path = argv[1:]
        assert (dash_m, source, owner[0::2]) in (("-m", "/dev/stdin", []), ("-m", "/dev/stdin", ["-o", "-g"])), argv
        uid, gid = (int(name) for name in owner[1::2]) if owner else (0, 0)
        if entry_at(self._machine, posixpath.dirname(path)) is None and path.count("/") > 2:
            return 1, f"install: cannot create regular file '{path}': No such file or directory\n"
        return self._put(path, Entry(int(mode, 8), uid, gid, fed(stdin)))

    def _put(self, path: str, entry: Entry) -> Answer:
        found = path_on_disk(self._machine, path)
        assert found is not None, f"{path} would be written to the root disk of {self.name}: nothing is mounted there"
        if any(path.startswith(mount + "/") for mount in self._machine.faults.full):
            return 1, f"install: cannot create regular file '{path}': No space left on device\n"
        found[0].put(found[1], entry)
        return 0, ""

    def _run_sync(self, argv: Args, stdin: str | bytes) -> Answer:
        path = argv[-1]
        assert argv in (("sync", path), ("sync", "--file-system", path)), argv
        found = path_on_disk(self._machine, path)
        if not found or (found[1] and not entry_at(self._machine, path)):
            return 1, f"{path}: no such file\n"
        entry = entry_at(self._machine, path) if found[1] else None
        if len(argv) > 2:
            found[0].sync()
        elif entry is not None and entry.data is None:  # a directory: the names in it
            for name in [name for name in found[0].unsynced if posixpath.dirname(name) == found[1]]:
                found[0].sync(name)
        else:
            found[0].sync(found[1])
        return 0, ""

    def _run_mv(self, argv: Args, stdin: str | bytes) -> Answer:
        *how, option, old, new = argv[1:]
        assert (how, option) in (([], "--no-target-directory"), *((h, "--no-target-directory") for h in MOVES)), argv
        if how == ["--no-clobber"] and entry_at(self._machine, new) is not None:
            return 0, ""
        entry, found = entry_at(self._machine, old), path_on_disk(self._machine, old)
        assert entry is not None, f"{old} does not exist"
        assert found is not None, f"{old} is on no volume"
        target = path_on_disk(self._machine, new)
        assert target is not None, f"{new} is on no volume"
        target[0].put(target[1], entry)
        found[0].put(found[1], None)
        return 0, ""

    def _run_chown(self, argv: Args, stdin: str | bytes) -> Answer:
        recursive, no_dereference, source, target, mount = argv[1:]
        assert (recursive, no_dereference) == ("--recursive", "--no-dereference"), argv
        old, found = source.removeprefix("--from="), path_on_disk(self._machine, mount)
        assert found is not None, f"nothing is mounted at {mount}"
        for entry in found[0].touched().tree.values():
            if old.startswith(":") and entry.gid == int(old[1:]):
                entry.gid = int(target.removeprefix(":"))
            elif not old.startswith(":") and entry.uid == int(old):
                entry.uid = int(target)
        return 0, ""

    # block devices

    def _run_e2fsck(self, argv: Args, stdin: str | bytes) -> Answer:
        """As e2fsck 1.47 says it. ``-y`` is what an operator types who has been told to."""
        *options, device = argv[1:]
        disk = self._unmounted(device)
        if options == ["-n", "-f"]:  # a look: nothing is written
            return (4 if disk.damaged else 0), f"{device}: 11/16384 files (0.0% non-contiguous), 9513/65536 blocks\n"
        assert options in (["-p"], ["-p", "-f"], ["-f", "-p"], ["-y"]), "only what can be repaired without a question"
        lines = [f"{device}: recovering journal"] if disk.dirty else []
        disk.changes += disk.dirty
        disk.dirty, disk.checked = False, True
        if disk.damaged and "-y" not in options:
            problem = f"{device}: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY."
            return 4, "\n".join([*lines, problem, "\t(i.e., without -a or -p options)", ""])
        fixed = disk.damaged or (disk.untidy and "-f" in options)
        if fixed:
            lines.append(f"{device}: Inode 12 ref count is 2, should be 1.  FIXED.")
            disk.damaged, disk.untidy, disk.changes = False, False, disk.changes + 1
        how = "11/16384 files (0.0% non-contiguous)" if fixed or "-f" in options else "clean, 11/16384 files"
        return int(fixed), "\n".join([*lines, f"{device}: {how}, 9513/65536 blocks", ""])

    def _run_mkfs_ext4(self, argv: Args, stdin: str | bytes) -> Answer:
        *options, label, device = argv[1:]
        assert options == ["-q", "-m", "0", "-L"], argv
        self._unmounted(device).format(label)
        return 0, ""

    def _run_e2label(self, argv: Args, stdin: str | bytes) -> Answer:
        device, label = argv[1:]
        self._unmounted(device).touched().label = label
        return 0, ""

    def _unmounted(self, device: str) -> Disk:
        """Return the disk of a device, which nothing may have mounted."""
        mounted = [self._machine.devices[volume] for volume in self._machine.mounts.values()]
        assert device not in mounted, f"{device} is mounted"
        return self._machine.disk_at(device)

    def _run_udevadm(self, argv: Args, stdin: str | bytes) -> Answer:
        if argv[1:] == ("trigger", "--subsystem-match=block"):
            self._machine.announce_all()
        else:
            assert argv[1:] == ("settle", "--timeout=30"), argv
        return 0, ""

    # the key

    def _run_runuser(self, argv: Args, stdin: str | bytes) -> Answer:
        """geth, or `new-account` where there is none, makes an account as the service user, with no passphrase."""
        if argv[4:6] == ("python3", "-"):
            entry = entry_at(self._machine, argv[6])
            assert stdin == COPY_DATABASE.read_text(), "a program that no simulated machine knows"
            return (0, base64.b64encode(entry.data or b"").decode()) if entry else (1, "sqlite cannot open\n")
        datadir = KEYSTORE.removesuffix("/keystore")
        own = ("runuser", "-u", LIVEPEER.service.user, "--", "env", f"HOME={datadir}")
        geth = ("/usr/local/bin/geth", "--datadir", datadir, "--lightkdf", "account", "new", "--password", "/dev/null")
        assert argv == (*own, *(geth if GETH in self._machine.parts else (NEW_ACCOUNT, KEYSTORE))), argv
        if argv[len(own)] in self._machine.faults.lacks:
            return 127, f"runuser: failed to execute {argv[len(own)]}: No such file or directory\n"
        entry, found = entry_at(self._machine, datadir), path_on_disk(self._machine, datadir)
        assert entry is not None, f"{datadir} does not exist"
        assert found is not None, "it is on no volume"
        if entry.uid != LIVEPEER.service.id:
            return 1, "Fatal: Failed to create account: permission denied\n"
        found[0].touched().tree.update(key_files(LIVEPEER.service.id))
        return 0, "Address: {" + json.dumps(KEY[2:])[1:-1] + "}\n"


def _needs_no_root(argv: Args) -> bool:
    return (
        argv[0] in ANYBODY
        or argv == ("cat", looks.RELEASE)
        or argv[:2] in (("systemctl", "show"), ("systemctl", "is-system-running"))
    )


def fed(stdin: str | bytes) -> bytes:
    """Return what a command reads from its standard input."""
    return stdin if isinstance(stdin, bytes) else stdin.encode()


def _held_unit(path: str) -> str:
    directory, _, unit = path.rpartition("/")
    assert directory == HOLD_DIRECTORY, path
    return unit
