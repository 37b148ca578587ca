"""Shared by every command: configuration, clients of gateway and broker, options, listings, exit codes."""
