"""Groups of letters with the same fingerprint."""
