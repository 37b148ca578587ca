"""What one task costs, counted in statements and messages."""
