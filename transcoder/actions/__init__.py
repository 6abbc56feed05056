"""The steps that recipes are made of, by noun: what EC2 does, what a machine does, what its services do."""
