"""The tour: shows the features of the stack on real input, and fails if one does not work."""
