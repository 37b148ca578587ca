"""`python -m status_service`: runs the status service."""

from chassis.logs import configure_logging
from chassis.process import run
from chassis.tracing import configure_tracing
from status_service.app import make_service
from status_service.settings import StatusSettings

if __name__ == "__main__":
    settings = StatusSettings()
    configure_logging("status", level=settings.log_level, format_=settings.log_format)
    configure_tracing("status")
    run(lambda: make_service(settings))
