"""Password resets: mailed links that are good once."""
