"""The services of a node, for faults that happen to one of them."""

from __future__ import annotations

from lab.faults.options import Option
from transcoder import layout

UNITS = {"livepeer": layout.LIVEPEER.service.unit, "geth": layout.GETH.service.unit}
UNIT = Option("unit", "the service", default="livepeer", choices=tuple(UNITS), subject=True)
PROCESS = """
import json, os, signal, subprocess, sys
def main_process(unit):
    said = subprocess.check_output(["systemctl", "show", "--property=MainPID", unit]).decode()
    return int(said.strip().partition("=")[2])
"""
"""The begin of programs that faults run in a machine: the process of a unit, 0 when there is none."""
