"""Lets tests in folders below this one import its modules; and what the tests of the clients share."""

from clients_under_test import ask, gateway

__all__ = ["ask", "gateway"]
