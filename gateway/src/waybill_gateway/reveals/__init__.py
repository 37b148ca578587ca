"""Sealed data shown to a person who may see it and gives a reason."""
