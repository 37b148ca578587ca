"""What the measurements share: the measured system, its surroundings, its load, and what it uses."""
