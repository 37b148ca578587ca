"""Image formats, limits and variant names that the gateway and the images service share."""
