"""The sync service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from waybill import Service
from waybill_contracts.kinds import SyncRequested, UserCreated
from waybill_sync.client import SyncClient
from waybill_sync.handlers import Targets, sync_record, sync_user
from waybill_sync.settings import SyncSettings


@asynccontextmanager
async def targets(settings: SyncSettings) -> AsyncIterator[Targets]:
    """The configured targets.

    Raises:
        ValueError: the URL of a target or a certificate is invalid.
    """
    headers = {
        target: {name: value.get_secret_value() for name, value in secret.items()}
        for target, secret in settings.target_headers.items()
    }
    client = SyncClient(
        settings.targets,
        timeout_seconds=settings.target_timeout_seconds,
        max_connections=settings.target_connections,
        headers=headers,
        tls=settings.target_tls,
        circuit=settings.circuit_policy(),
    )
    yield Targets(client, settings.user_target)


service = Service("sync", settings=SyncSettings, resources=targets, metrics="sync:8000")
service.handles(SyncRequested)(sync_record)
service.handles(UserCreated)(sync_user)
