"""Calls of functions that are still in an application outbox."""

import json
from typing import Any

from waybill.django.kinds import is_of


def waiting_function(connection: Any, row_id: str, project: str) -> str | None:
    """The path of the function that a row of the outbox is to call; None: there is no such row.

    Args:
        connection: Django's, to the database of the outbox.
        row_id: of the row.
        project: whose functions are looked for.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT kind, data FROM waybill_outbox WHERE id = %s", [row_id])
        row = cursor.fetchone()
    if row is None or not is_of(project, row[0]):
        return None
    return str(json.loads(row[1])["path"])
