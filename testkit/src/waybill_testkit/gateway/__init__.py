"""A gateway in the process of the test, with a check that it answers only with documented problems."""
