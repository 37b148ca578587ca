"""The failure desk: takes dead letters into the ledger, and redrives them as planned."""
