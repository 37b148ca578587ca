"""Authentication: the caller, what its key allows, and the routes that check it."""
