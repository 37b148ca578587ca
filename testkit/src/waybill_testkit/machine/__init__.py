"""What a test run or a local stack needs of its machine: free ports, a lock, children that die with it."""
