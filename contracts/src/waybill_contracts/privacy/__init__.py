"""What is sensitive: sealed in payloads, masked in texts."""
