"""The key stores: what they say to what AWS says."""
