"""Records for other systems."""
