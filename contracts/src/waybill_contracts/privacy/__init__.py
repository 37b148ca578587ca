"""Protection of sensitive data: sealed in payloads, masked in texts."""
