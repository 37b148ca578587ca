"""The crash matrix: kills processes at named steps, and counts what is left."""
