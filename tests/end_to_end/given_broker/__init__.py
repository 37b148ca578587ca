"""Tests that use one stack, on a broker that they take away."""
