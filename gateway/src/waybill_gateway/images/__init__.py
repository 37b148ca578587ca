"""Images: uploads, the look into them, and the variants that were made."""
