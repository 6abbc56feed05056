"""Runs inside the machine (Python 3.6): reads /health again and again, and prints the states with the node's own time.

``python3 - PORT SECONDS``: one line of JSON a look, with ``at`` by the machine's monotonic clock.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from typing import Dict, List


def look(port: int) -> Dict[str, List[str]]:
    """Return the states by check, each as shown, as the newest look has it, and its message; {} without an answer."""
    url = f"http://127.0.0.1:{port}/health"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:  # 503: something is in alarm, and the body says what
        body = error.read()
    except OSError:
        return {}
    found = {}
    for check in json.loads(body.decode("utf-8"))["checks"]:
        name = check["check"] + ("/" + check["subject"] if check["subject"] else "")
        found[name] = [check["state"], check["now"], check["message"]]
    return found


def main(port: int, seconds: float) -> None:
    """Look for ever."""
    while True:
        begun = time.monotonic()
        checks = look(port)
        sys.stdout.write(json.dumps({"at": begun, "checks": checks}) + "\n")
        sys.stdout.flush()
        time.sleep(max(seconds - (time.monotonic() - begun), 0.05))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
