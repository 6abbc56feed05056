"""A simulated world: `transcoder.world`'s protocols in memory, fast, and as strict as EC2 and a real machine."""
