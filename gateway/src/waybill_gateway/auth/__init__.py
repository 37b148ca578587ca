"""API keys: who calls, and what the key allows."""
