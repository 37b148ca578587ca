"""Persons: what is stored about a person, and its erasure."""

from waybill_gateway.persons import routes

__all__ = [
    "routes",
]
