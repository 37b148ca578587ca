"""The table of the application outbox as a Django model; `waybill.outbox.schema` describes its columns."""

from typing import ClassVar

from django.db import models


class OutboxRow(models.Model):
    """A row: read it where you like, and leave writing to `outbox.submit` and to relays."""

    position = models.BigAutoField(primary_key=True)
    row_id = models.CharField(max_length=36, db_column="id")
    kind = models.CharField(max_length=64)
    version = models.IntegerField()
    data = models.TextField()
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001 - NULL: the id is the key
    order_key = models.CharField(max_length=255, null=True)  # noqa: DJ001 - NULL: in no order
    priority = models.CharField(max_length=8, null=True)  # noqa: DJ001 - NULL: normal
    send_at = models.CharField(max_length=40, null=True)  # noqa: DJ001 - NULL: at once
    traceparent = models.CharField(max_length=64, null=True)  # noqa: DJ001 - NULL: in no trace
    state = models.CharField(max_length=8, db_default="waiting")
    available_at = models.BigIntegerField(db_default=0)
    tried_at = models.BigIntegerField(null=True)
    attempts = models.IntegerField(db_default=0)
    error = models.TextField(null=True)  # noqa: DJ001 - NULL: none

    class Meta:
        """Names as relays expect them."""

        db_table = "waybill_outbox"
        indexes: ClassVar = [
            models.Index(
                fields=["order_key", "position"],
                name="waybill_outbox_in_order",
                condition=models.Q(order_key__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.row_id} of kind {self.kind}, {self.state}"
