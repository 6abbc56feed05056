"""The programs run, each as the user that it is for; and without its volume no service starts."""

from typing import Iterator

from .machine import Machine, Wanted

LIVEPEER, GETH, CLI = "/usr/local/bin/livepeer", "/usr/local/bin/geth", "/usr/local/bin/livepeer_cli"
CHECK_VOLUME = "/usr/local/lib/transcoder/check-volume"
NEW_ACCOUNT = "/usr/local/lib/transcoder/new-account"
REFUSED = 78
REFUSAL = "check-volume: refused: nothing is mounted on "


def users(machine: Machine, wanted: Wanted) -> "Iterator[str]":
    """The numbers are what the files of a volume know."""
    for name, number in [*wanted.users, *wanted.without_volume]:
        entry = machine.run("getent", "passwd", name).output.split(":")
        if entry[:1] != [name] or entry[2:4] != [number, number] or entry[5:] != ["/nonexistent", "/usr/sbin/nologin"]:
            told = ":".join(entry) or "nobody"
            yield "user {}: is '{}', not {}:{} with /nonexistent and nologin".format(name, told, number, number)


def livepeer_version(machine: Machine, wanted: Wanted) -> "Iterator[str]":
    """`livepeer -version` tells the version that was to be baked."""
    yield from _says(machine, "livepeer", wanted.livepeer, LIVEPEER, "-version")
    if not machine.exists(CLI):
        yield "{}: not there".format(CLI)


def geth_version(machine: Machine, wanted: Wanted) -> "Iterator[str]":
    """`geth version` tells the version that was to be baked."""
    if wanted.geth:
        yield from _says(machine, "geth", wanted.geth, GETH, "version")


def geth_configuration(machine: Machine, wanted: Wanted) -> "Iterator[str]":
    """geth refuses keys that it does not know, so it has to take its file once, with a data directory of its own."""
    if wanted.geth:
        with machine.scratch() as home:
            argv = [GETH, "--config", "/etc/geth/geth.toml", "--datadir", home + "/data", "dumpconfig"]
            yield from _says(machine, "geth", "DataDir", *argv, home=home)


def new_account(machine: Machine, wanted: Wanted) -> "Iterator[str]":
    """Where no geth makes the node's key: one is made and thrown away, so its packages are there and it can be read."""
    if not wanted.geth:
        with machine.scratch() as home:
            yield from _says(machine, "livepeer", "0x", NEW_ACCOUNT, home + "/keystore", home=home)


def refusals(machine: Machine, wanted: Wanted) -> "Iterator[str]":
    """Without its volume a service refuses with 78, which is what its unit does not restart after."""
    with machine.scratch() as home:
        for role, _ in wanted.users:
            status, output = machine.run_as(role, home, CHECK_VOLUME, role)
            if status != REFUSED or not output.startswith(REFUSAL):
                yield "check-volume {} without a volume: {} {}".format(role, status, output)


def _says(machine: Machine, user: str, text: str, *argv: str, home: str = "") -> "Iterator[str]":
    if not home:
        with machine.scratch() as own:
            yield from _says(machine, user, text, *argv, home=own)
        return
    status, output = machine.run_as(user, home, *argv)
    command = " ".join(argv)
    if status:
        yield "`{}` fails with {}: {}".format(command, status, output)
    elif text not in output:
        yield "`{}` does not say {} but: {}".format(command, text, output)
