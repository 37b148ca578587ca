"""Schedules: their slots, and the release of each as a task."""
