"""A private PostgreSQL for one test run, its failover, and the programs that it runs."""
