"""Reading the ledger: tasks, listings, the account, measures."""
