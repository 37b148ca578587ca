"""What commands do through the gateway in several steps: erase, redrive, reveal, watch."""
