"""What the start-up checks of the node's services share. Python 3.6, standard library only.

The checks are chained before the program in a unit's ExecStart=, each doing its part and then becoming the next:

    check-volume livepeer -- wait-for-geth -- run-livepeer -- /usr/local/bin/livepeer ...

so that all of them are the unit's main process: the only one whose exit status RestartPreventExitStatus= looks at.
"""

import json
import os
import re
import signal
import socket
import sys

FINAL = 78
"""EX_CONFIG: trying again cannot help, somebody has to do something. The units do not restart after it."""
AGAIN = 1
"""Trying again may help: the unit restarts after RestartSec=."""

MOUNTS = {"livepeer": "/d1", "geth": "/d2"}
DIRECTORIES = {"livepeer": ("/d1/livepeer", "/d1/livepeer/.lpData"), "geth": ("/d2/geth-data",)}
KEYSTORE = "/d1/livepeer/.lpData/keystore"
MARKER = ".transcoder.json"
KEY_FILE = re.compile(r"UTC--.*--([0-9a-f]{40})")
"""The name geth and livepeer give a key file."""


class Refusal(Exception):
    """The service must not start as things are; the message is one line: what is wrong, and what to type."""


class NotYet(Exception):
    """The service cannot start now, but trying again may help."""


def split_command(arguments):
    """Return the arguments before the first ``--`` and the command after it."""
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def notify(message):
    """Tell systemd (sd_notify): ``READY=1``, or ``STATUS=...`` for ``systemctl status``. Nothing without systemd."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(message.encode("utf-8"), address)


def become(command):
    """Replace this process by a command."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)


def read_marker(root, role):
    """Return the marker of a data volume: a dict with ``node``, ``role`` and, once there is a key, ``address``.

    Raises Refusal when it is not there, not readable, or of another role.
    """
    path = "{}/{}".format(MOUNTS[role], MARKER)
    try:
        with open(root + path, encoding="utf-8") as file:
            marker = json.load(file)
    except FileNotFoundError:
        raise Refusal(
            "{} is missing, so this volume was never set up as a node's: type `fab attach` for a volume made by this "
            "project, `fab adopt` for one made by hand".format(path)
        ) from None
    except (OSError, ValueError) as error:
        raise Refusal(
            "{} is not readable ({}): type `fab attach` to have it written anew".format(path, error)
        ) from None
    found = marker.get("role") if isinstance(marker, dict) else marker
    if found != role:
        raise Refusal(
            "{} says that this is a volume of role {!r}, not {!r}: type `fab status` to see which volume is which, "
            "then `fab attach` the right one".format(path, found, role)
        )
    return marker


def key_address(path):
    """Return the address in a key file's JSON, 40 lower-case hex digits, or an empty string."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return ""
    address = content.get("address", "") if isinstance(content, dict) else ""
    return plain(address) if isinstance(address, str) else ""


def plain(address):
    """Return an address as key files have it: without 0x, in lower case."""
    return address[2:].lower() if address[:2].lower() == "0x" else address.lower()


def check_key(root, address):
    """Return the paths of the key files of this address, without ``root``, in the order in which livepeer takes them.

    Raises Refusal for a keystore that has none, or one whose name and content disagree.
    """
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", address):
        found = "has {!r} for its Ethereum address".format(address) if address else "has no Ethereum address yet"
        raise Refusal(
            "the volume {}: type `fab restore-keys` to put the node's key back, or `fab create-key` to make its "
            "first one".format(found)
        )
    try:
        names = sorted(os.listdir(root + KEYSTORE))
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise Refusal(
            "{} cannot be read ({}): type `fab adopt` to map the owners".format(KEYSTORE, error.strerror)
        ) from None
    matches = [KEY_FILE.fullmatch(name) for name in names]
    keys = {match.group(0): match.group(1) for match in matches if match}
    named = [name for name in keys if keys[name] == plain(address)]
    if not named:
        others = ", ".join("0x" + keys[name] for name in sorted(keys)) or "no key at all"
        raise Refusal(
            "{} has no key of {} (it has {}): type `fab restore-keys` to put it back".format(KEYSTORE, address, others)
        )
    for name in named:
        inside = key_address(os.path.join(root + KEYSTORE, name))
        if inside != plain(address):
            raise Refusal(
                "{}/{} is damaged: its name says {}, its content {}: move it away, then type `fab restore-keys`".format(
                    KEYSTORE, name, address, "0x" + inside if inside else "is no key"
                )
            )
    return ["{}/{}".format(KEYSTORE, name) for name in sorted(named)]


def main(body):
    """Run ``body(arguments)``; a refusal or a failure is one line on stderr and in ``systemctl status``."""
    # The units stop with SIGINT: end by it, without a traceback in the log.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    name = os.path.basename(sys.argv[0])
    try:
        body(sys.argv[1:])
    except Refusal as refusal:
        code, line = FINAL, "refused: {}".format(refusal)
    except NotYet as not_yet:
        code, line = AGAIN, "not yet: {}".format(not_yet)
    else:
        return 0
    sys.stderr.write("{}: {}\n".format(name, line))
    notify("STATUS={}".format(line))
    return code
