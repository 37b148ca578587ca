"""Real parts and samples for tests: broker, PostgreSQL, bucket, proxy, tasks and events."""
