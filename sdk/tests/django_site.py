"""The functions of a Django project, for tests; it must be imported after its settings."""

from typing import Any

from django.conf import settings

SETTINGS: dict[str, Any] = {
    "USE_TZ": True,
    "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    "TASKS": {
        "default": {
            "BACKEND": "waybill.django.WaybillBackend",
            "QUEUES": ["default", "mails"],
            "OPTIONS": {"SERVICE": "site", "ATTEMPTS": 3},
        },
        "outbox": {
            "BACKEND": "waybill.django.WaybillBackend",
            "OPTIONS": {"SERVICE": "site", "OUTBOX": "default"},
        },
    },
}
if not settings.configured:
    settings.configure(**SETTINGS)

from waybill.django.framework import task, task_backends  # noqa: E402 - it reads the settings

tasks = task_backends


@task
def add(first: int, second: int = 1) -> int:
    return first + second


@task(queue_name="mails", priority=5)
async def mail(address: str) -> dict[str, str]:
    return {"to": address}


@task(takes_context=True)
def look(context: Any, word: str) -> list[object]:
    return [context.attempt, context.task_result.id, word]


@task
def fail(word: str) -> None:
    raise LookupError(f"there is no {word}")


@task(backend="outbox")
def told(word: str) -> None:
    del word
