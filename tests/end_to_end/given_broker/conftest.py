"""What these tests share."""

from tests.end_to_end.given_broker.fixtures import stack, stack_broker

__all__ = ["stack", "stack_broker"]
