"""Input that is meant to do harm."""
