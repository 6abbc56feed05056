"""The stand-in for geth 1.8.27."""
