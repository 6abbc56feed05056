"""Tasks under the policies: moto checks which actions a user may call, the world that they act on is simulated."""
