"""A Django application with an outbox: `outbox_site.py URL migrate|check|submit`."""

import json
import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from sqlalchemy import make_url

from waybill import outbox
from waybill.kinds import SyncRequested

ENGINES = {"sqlite": "django.db.backends.sqlite3", "postgresql": "django.db.backends.postgresql"}


def configure(text: str) -> None:
    url = make_url(text)
    settings.configure(
        INSTALLED_APPS=["waybill.outbox.django"],
        DATABASES={
            "default": {
                "ENGINE": ENGINES[url.get_backend_name()],
                "NAME": url.database,
                "USER": url.username,
                "PASSWORD": url.password,
                "HOST": url.host,
                "PORT": url.port,
            }
        },
    )
    django.setup()


def submit() -> list[str]:
    """Ids of the rows that are committed."""
    event = SyncRequested(target="crm", resource="orders", id="7", data={})
    with transaction.atomic():
        committed = [outbox.submit(connection, event)]
        with transaction.atomic():
            outbox.submit(connection, event)
            transaction.set_rollback(True)  # to the savepoint
        committed.append(outbox.submit(connection, event))
    with transaction.atomic():
        outbox.submit(connection, event)
        transaction.set_rollback(True)
    return committed


if __name__ == "__main__":
    configure(sys.argv[1])
    result: object = "done"
    match sys.argv[2]:
        case "migrate":
            call_command("migrate", verbosity=0)
        case "check":
            call_command("makemigrations", check=True, dry_run=True, verbosity=0)
        case "submit":
            result = submit()
    sys.stdout.write(json.dumps(result) + "\n")
