"""A shop: its background work, and three applications that ask for it."""
