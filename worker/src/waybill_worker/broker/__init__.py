"""The connection to RabbitMQ, and the topology."""
