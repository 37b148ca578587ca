"""`python -m email_service`: runs the email service."""

from chassis.logs import configure_logging
from chassis.process import run
from chassis.tracing import configure_tracing
from email_service.app import make_service
from email_service.settings import EmailSettings

if __name__ == "__main__":
    settings = EmailSettings()
    configure_logging("email", level=settings.log_level, format_=settings.log_format)
    configure_tracing("email")
    run(lambda: make_service(settings))
