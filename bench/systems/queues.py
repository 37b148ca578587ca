"""Looking at a queue of the broker."""

from collections.abc import Callable

import pika
from pika.exceptions import AMQPError


def consumed(amqp_url: str, queue: str) -> Callable[[], bool]:
    """Ready when somebody consumes the queue."""

    def check() -> bool:
        connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
        try:
            state = connection.channel().queue_declare(queue, passive=True)
            return bool(state.method.consumer_count)
        except AMQPError:  # the queue is not there yet
            return False
        finally:
            if connection.is_open:
                connection.close()

    return check
