"""Publishing: confirmed messages, lifecycle events, retries and dead letters."""
