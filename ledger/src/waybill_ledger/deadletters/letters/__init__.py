"""Dead letters: intake, contract gate, queries, archiving, pruning."""
