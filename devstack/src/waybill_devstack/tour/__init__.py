"""The tour: shows on real input that the stack does what it says, and fails if any of it is not so."""
