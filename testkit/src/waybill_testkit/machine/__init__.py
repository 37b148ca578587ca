"""Resources of the machine: free ports, a lock among processes, children that die with their parent."""
