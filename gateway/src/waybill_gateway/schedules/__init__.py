"""Schedules: tasks that are made again and again."""
