"""Tasks: accepted, listed, cancelled, accounted for, pruned."""
