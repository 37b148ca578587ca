"""The systems that are compared: what each consists of, and how its outcomes are read."""
