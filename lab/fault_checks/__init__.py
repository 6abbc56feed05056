"""Every fault of the lab against the node's own watch: the right check turns red, after its time, and green again."""
