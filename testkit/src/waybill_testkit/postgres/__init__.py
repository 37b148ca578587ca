"""A private PostgreSQL for a test run, its failover, and its programs."""
