"""The site, on Django."""
