"""Log lines in the formats of geth (log15) and livepeer (glog), on stderr."""

import os
import sys
import threading
import time
from typing import Any

_LOCK = threading.Lock()


def _write(line: str) -> None:
    with _LOCK:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _quoted(value: Any) -> str:
    text = str(value)
    return '"{}"'.format(text.replace('"', '\\"')) if not text or set(text) & set(' ="') else text


def geth(level: str, message: str, **context: Any) -> None:
    """INFO [11-22|05:11:48.664] Maximum peer count                       ETH=25 LES=0 total=25."""
    now = time.time()
    stamp = time.strftime("%m-%d|%H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03d}"
    pairs = " ".join(f"{key}={_quoted(value)}" for key, value in context.items())
    padded = f"{message:<40s} " if pairs else message + " "
    _write(f"{level:<5s}[{stamp}] {padded}{pairs}")


def glog(severity: str, source: str, message: str) -> None:
    """I0620 12:34:56.123456    1234 livepeer.go:123] text; severity is I, W, E or F."""
    now = time.time()
    stamp = time.strftime("%m%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1e6):06d}"
    _write(f"{severity}{stamp} {os.getpid():7d} {source}] {message}")
