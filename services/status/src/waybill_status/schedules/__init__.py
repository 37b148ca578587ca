"""The release of schedules."""
