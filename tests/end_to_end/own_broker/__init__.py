"""Tests that use one stack, which has started its broker itself."""
