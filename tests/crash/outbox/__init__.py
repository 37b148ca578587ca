"""An application with an outbox, and its relay, as processes that are killed at named points."""
