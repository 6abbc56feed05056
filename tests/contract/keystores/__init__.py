"""The key stores: one contract over all of them."""
