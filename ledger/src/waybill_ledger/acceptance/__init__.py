"""What is written when a task is accepted or cancelled."""
