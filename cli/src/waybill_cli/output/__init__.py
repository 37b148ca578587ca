"""Output of the command: tables, views, progress."""
