"""What crosses the wire: the kinds of work, their envelope, lifecycle events, versions and privacy."""
