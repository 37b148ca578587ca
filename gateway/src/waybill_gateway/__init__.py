"""The HTTP API: accepts tasks and answers questions about them."""
