"""`python -m email_service`: runs the email service."""

from chassis.starting import start
from email_service.app import make_service
from email_service.settings import EmailSettings

if __name__ == "__main__":
    start("email", EmailSettings, make_service)
