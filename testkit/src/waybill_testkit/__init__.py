"""Real servers and samples for tests: RabbitMQ, PostgreSQL, S3, a proxy, tasks and events."""
