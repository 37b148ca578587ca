"""Tests of more than one member, and the programs `make crash`, `soak`, `outage` and `fuzz`."""
