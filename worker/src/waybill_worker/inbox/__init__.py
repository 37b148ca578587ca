"""The inbox: what a service has claimed and done."""
