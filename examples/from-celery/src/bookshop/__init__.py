"""A bookshop, before and after its move from Celery."""
