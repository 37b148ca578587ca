"""What the tests of the wheels share."""

from tests.wheels.built import wheels

__all__ = ["wheels"]
