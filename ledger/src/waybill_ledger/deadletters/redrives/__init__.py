"""Redrives: plan, edits, execution, settlement."""
