"""What is deleted, and when: pruning and erasure."""
