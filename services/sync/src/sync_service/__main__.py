"""`python -m sync_service`: runs the sync service."""

from chassis.logs import configure_logging
from chassis.process import run
from chassis.tracing import configure_tracing
from sync_service.app import make_service
from sync_service.settings import SyncSettings

if __name__ == "__main__":
    settings = SyncSettings()
    configure_logging("sync", level=settings.log_level, format_=settings.log_format)
    configure_tracing("sync")
    run(lambda: make_service(settings))
