"""The fault matrix: every step of a migration, and every fault that can hit there, on the lab's real machines.

``plan`` reads the steps from a real plan, ``rules`` makes cells of them, ``stage`` has the lab and the node, ``trial``
performs one cell with an ``operator`` that is broken and a ``watch`` that sees all, ``evidence`` judges, ``results``
and ``report`` keep and show.
"""
