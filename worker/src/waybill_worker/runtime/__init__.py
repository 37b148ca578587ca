"""How a process lives: settings, start, background work, health, stop."""
