"""The HTTP API: accepts tasks and answers where they are."""
