"""What the API says of itself: OpenAPI and AsyncAPI."""
