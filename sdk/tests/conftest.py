"""Lets tests in folders below this one import its modules."""
