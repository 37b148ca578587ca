"""The application outbox as a Django application: its migration, and its rows for the admin.

    INSTALLED_APPS = [..., "waybill.outbox.django"]

`manage.py migrate` creates the table; `outbox.submit(connection, event)` writes into it, with the transaction
of `django.db.connection`, or of `connections["alias"]`.
"""
