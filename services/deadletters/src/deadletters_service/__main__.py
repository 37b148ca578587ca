"""`python -m deadletters_service`: runs the failure desk."""

from chassis.logs import configure_logging
from chassis.process import run
from chassis.tracing import configure_tracing
from deadletters_service.app import make_service
from deadletters_service.settings import DeskSettings

if __name__ == "__main__":
    settings = DeskSettings()
    configure_logging("deadletters", level=settings.log_level, format_=settings.log_format)
    configure_tracing("deadletters")
    run(lambda: make_service(settings))
