"""Stand-ins for geth and livepeer, for machines that cannot download the real ones."""
