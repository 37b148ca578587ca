"""How the command shows things: tables, views, progress."""
