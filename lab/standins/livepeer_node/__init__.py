"""The stand-in for livepeer 0.2.4."""
