"""The Django application."""

from django.apps import AppConfig


class OutboxConfig(AppConfig):
    """Has the table `waybill_outbox`."""

    name = "waybill.outbox.django"
    label = "waybill_outbox"
    verbose_name = "Waybill outbox"
    default_auto_field = "django.db.models.BigAutoField"
