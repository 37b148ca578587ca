"""What every command works with: configuration, the gateway, options, exit codes."""
