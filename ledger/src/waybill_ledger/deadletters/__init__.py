"""The failure desk's part of the ledger: dead letters, their groups, redrives and who did what."""
