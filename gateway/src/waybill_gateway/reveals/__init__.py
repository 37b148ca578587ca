"""Reveals: sealed data shown to callers that may see it and give a reason."""
