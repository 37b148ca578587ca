"""Password resets: mailed links that are valid once."""
