"""The failure desk when all else is down: dead-letter queues straight from the broker."""
