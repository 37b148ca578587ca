"""What an installation needs before its first start: passwords, broker users, databases, schema."""
