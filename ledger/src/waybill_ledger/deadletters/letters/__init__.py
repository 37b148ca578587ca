"""Dead letters: contract gate, queries, archiving, pruning."""
