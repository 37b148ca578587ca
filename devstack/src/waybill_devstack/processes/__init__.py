"""Supervised processes: their start, output, restart and end."""
