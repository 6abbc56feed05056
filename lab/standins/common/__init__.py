"""What both stand-ins need: Ethereum's cryptography, key files, JSON-RPC, logs. Python 3.6, standard library only."""
