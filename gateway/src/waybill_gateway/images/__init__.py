"""Images: uploads, their examination, and their variants."""
