"""Rules of the code base, checked by reading it."""
