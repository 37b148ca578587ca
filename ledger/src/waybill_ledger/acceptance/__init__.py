"""What is written when tasks are accepted, and what a repeated call is answered."""
