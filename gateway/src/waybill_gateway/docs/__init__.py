"""The descriptions of the API: OpenAPI and AsyncAPI."""
