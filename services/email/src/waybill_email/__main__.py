"""`python -m waybill_email`: runs the email service."""

from waybill_email.app import make_service
from waybill_email.settings import EmailSettings
from waybill_worker.service import run_service

if __name__ == "__main__":
    run_service("email", EmailSettings, make_service)
