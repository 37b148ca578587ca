"""What the measured processes run: the same work and the same route for all."""
