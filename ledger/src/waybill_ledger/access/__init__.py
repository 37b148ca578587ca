"""Who may do what and see what: API keys, redaction, reveals."""
