"""Creates the table of the application outbox."""

from typing import Any, ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """As the model is."""

    initial = True
    dependencies: ClassVar[list[Any]] = []
    operations: ClassVar = [
        migrations.CreateModel(
            name="OutboxRow",
            fields=[
                ("position", models.BigAutoField(primary_key=True, serialize=False)),
                ("row_id", models.CharField(db_column="id", max_length=36)),
                ("kind", models.CharField(max_length=64)),
                ("version", models.IntegerField()),
                ("data", models.TextField()),
                ("idempotency_key", models.CharField(max_length=255, null=True)),
                ("order_key", models.CharField(max_length=255, null=True)),
                ("priority", models.CharField(max_length=8, null=True)),
                ("send_at", models.CharField(max_length=40, null=True)),
                ("traceparent", models.CharField(max_length=64, null=True)),
                ("state", models.CharField(db_default="waiting", max_length=8)),
                ("available_at", models.BigIntegerField(db_default=0)),
                ("tried_at", models.BigIntegerField(null=True)),
                ("attempts", models.IntegerField(db_default=0)),
                ("error", models.TextField(null=True)),
            ],
            options={
                "db_table": "waybill_outbox",
                "indexes": [
                    models.Index(
                        fields=["order_key", "position"],
                        name="waybill_outbox_in_order",
                        condition=models.Q(("order_key__isnull", False)),
                    )
                ],
            },
        ),
    ]
