"""Alerts to the operators: at once for a new kind of failure, otherwise in digests."""
