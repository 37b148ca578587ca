"""What the routes of all resources share: problems, fields, pages, idempotency keys."""
