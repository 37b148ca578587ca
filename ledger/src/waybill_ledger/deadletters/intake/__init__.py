"""Intake of dead messages: each becomes a letter, and is counted into its group."""
