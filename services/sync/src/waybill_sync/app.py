"""Builds the sync service."""

from functools import partial

from waybill_contracts.kinds import SyncRequested, UserCreated
from waybill_sync.client import SyncClient
from waybill_sync.handlers import sync_record, sync_user
from waybill_sync.settings import SyncSettings
from waybill_worker.attempt import configured
from waybill_worker.service import Service, application


def make_service(settings: SyncSettings) -> Service:
    """Builds the service with its adapters, not yet started.

    Raises:
        ValueError: the URL of a target or a certificate is invalid, or the target for users is not
            configured.
    """
    if settings.user_target not in settings.targets:
        raise ValueError(f"user_target {settings.user_target} is not one of {', '.join(settings.targets)}")
    client = SyncClient(
        settings.targets,
        timeout_seconds=settings.target_timeout_seconds,
        max_connections=settings.target_connections,
        headers={
            target: {name: value.get_secret_value() for name, value in headers.items()}
            for target, headers in settings.target_headers.items()
        },
        tls=settings.target_tls,
        circuit=settings.circuit_policy(),
    )
    return Service(
        "sync",
        settings,
        (
            configured(settings, SyncRequested, partial(sync_record, client=client)),
            configured(settings, UserCreated, partial(sync_user, client=client, target=settings.user_target)),
        ),
    )


def make_app() -> Service:
    """The FastStream application: `faststream run waybill_sync.app:make_app --factory`."""
    return application("sync", SyncSettings, make_service)
