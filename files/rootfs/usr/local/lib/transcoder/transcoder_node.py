"""What the start-up checks of the node's services share. Python 3.6, standard library only.

The checks are chained before the program in a unit's ExecStart=, each doing its part and then becoming the next:

    check-volume livepeer -- wait-for-geth -- run-livepeer -- /usr/local/bin/livepeer ...

so that all of them are the unit's main process: the only one whose exit status RestartPreventExitStatus= looks at.
"""

import json
import os
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
