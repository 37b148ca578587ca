"""One attempt: the handler, its limits, and the decision what follows."""
