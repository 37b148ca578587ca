"""HTTP below the routes: connections, bodies, fields, pages, idempotency keys, problem documents, metrics."""
