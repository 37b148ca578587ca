"""Several members together on a real RabbitMQ."""
