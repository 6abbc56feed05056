"""What the checks of the proof may touch: files below a root, commands, and what the image was meant to be."""

import glob
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

COMMAND_SECONDS = 120
NOT_FOUND = 127
BAKED = "/etc/transcoder/files.txt"
"""The paths that the bake has laid over the machine's files, one a line, without the first slash."""


class Result(NamedTuple):
    status: int
    output: str


"""How a command ended, and all that it printed on both streams."""


class Wanted(NamedTuple):
    users: List[Tuple[str, str]]
    units: List[str]
    livepeer: str
    geth: str
    without_volume: Tuple[Tuple[str, str], ...] = ()
    resting_units: Sequence[str] = ()


"""What was meant to be baked: users of a volume with their numbers, units to be enabled, versions (geth empty: there is
none), users that have no volume, and units that no boot is to start."""


Runner = Callable[[List[str], Dict[str, str]], Result]


class Machine:
    """The machine that the proof runs in; for a test a directory and somebody who answers commands."""

    def __init__(self, root: str = "", run: "Optional[Runner]" = None) -> None:
        self.root = root.rstrip("/")
        # In a directory that stands for / (a test's) everything is whoever's who made it.
        self.owner = (os.getuid(), os.getgid()) if self.root else (0, 0)
        self._run = run or run_command

    def on_disk(self, path: str) -> str:
        """Return where a path of the machine is for this process."""
        return self.root + path

    def exists(self, path: str) -> bool:
        """Tell whether something of that name is there: also a link that leads nowhere."""
        return os.path.lexists(self.on_disk(path))

    def read(self, path: str) -> str:
        """Return a text file; an empty string when it is not there."""
        if not self.exists(path):
            return ""
        with open(self.on_disk(path), encoding="utf-8", errors="replace") as file:
            return file.read()

    def lines(self, path: str) -> "List[str]":
        """Return the lines of a configuration file without comments and blanks around them."""
        stripped = [line.strip() for line in self.read(path).splitlines()]
        return [line for line in stripped if line and not line.startswith("#")]

    def baked_files(self) -> "List[str]":
        """Return the paths that the bake has laid over the machine's files."""
        return ["/" + line for line in self.lines(BAKED) if not line.endswith("/")]

    def find(self, *patterns: str) -> "List[str]":
        """Return the paths that match a pattern of the shell, hidden ones only where the pattern says so."""
        found = [path for pattern in patterns for path in glob.glob(self.on_disk(pattern))]
        return sorted(path[len(self.root) :] for path in found)

    def walk(self, *places: str) -> "Iterator[str]":
        """Yield all files below these places that are neither links nor on another file system."""
        for place in places:
            top = self.on_disk(place)
            if os.path.isfile(top) and not os.path.islink(top):
                yield place
            device = os.lstat(top).st_dev if os.path.isdir(top) else None
            for directory, below, files in os.walk(top):
                below[:] = [name for name in below if _device(os.path.join(directory, name)) == device]
                for name in files:
                    path = os.path.join(directory, name)
                    if os.path.isfile(path) and not os.path.islink(path):
                        yield path[len(self.root) :]

    def run(self, *argv: str, **environment: str) -> Result:
        """Run a command as root."""
        return self._run(list(argv), environment)

    def run_as(self, user: str, home: str, *argv: str) -> Result:
        """Run a command as a user, in a home of its own."""
        return self.run("runuser", "-u", user, "--", "env", "HOME=" + home, *argv)

    @contextmanager
    def scratch(self) -> "Iterator[str]":
        """Give a directory that everybody may write to, and that is gone afterwards."""
        path = tempfile.mkdtemp(prefix="transcoder-proof-")
        os.chmod(path, 0o1777)  # noqa: S103 - as /tmp: programs run in it as their users
        try:
            yield path
        finally:
            shutil.rmtree(path)


def run_command(argv: "List[str]", environment: "Dict[str, str]") -> Result:
    """Run a command; one that is not there ends with 127, one that does not end with 124."""
    try:
        done = subprocess.run(
            argv,
            env={**os.environ, "LC_ALL": "C", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        return Result(NOT_FOUND, str(error))
    except subprocess.TimeoutExpired:
        return Result(124, "does not end within {} s".format(COMMAND_SECONDS))
    return Result(done.returncode, done.stdout.decode("utf-8", "replace").strip())


def _device(path: str) -> int:
    return os.lstat(path).st_dev
