"""The local stack: which processes it has, where it listens, and the file that says so."""
