"""The shape of the command line: groups, shared options, exit codes. Light, because help must be fast."""
