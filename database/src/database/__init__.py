"""How a process keeps records: engines for SQLite and PostgreSQL, and the group commit."""
