"""The stand-ins for geth and livepeer as real processes: their command lines, signals, ports and files."""
