"""What lives as long as the gateway: the ledger, the object store, the relay to the broker."""
