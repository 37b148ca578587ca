"""Whether the contracts of this release can read what waits, wherever it waits."""
