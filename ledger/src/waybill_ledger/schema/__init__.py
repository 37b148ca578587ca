"""The tables of the ledger, and the version of their schema."""
