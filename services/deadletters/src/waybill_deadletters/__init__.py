"""The failure desk: stores dead letters in the ledger, and runs planned redrives."""
