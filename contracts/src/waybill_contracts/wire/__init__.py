"""What every message has: envelope, lifecycle events, control messages, names, states."""
