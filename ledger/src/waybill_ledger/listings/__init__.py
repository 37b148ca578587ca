"""What listings share: cursors of their pages, and ids found by their beginning."""
