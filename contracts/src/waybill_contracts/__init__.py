"""What crosses the wire: events, envelope, lifecycle, catalog and names."""
