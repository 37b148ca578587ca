"""`python -m waybill_email`: runs the email service."""

from waybill_email.app import make_service
from waybill_email.settings import EmailSettings
from waybill_worker.runtime.startup import start

if __name__ == "__main__":
    start("email", EmailSettings, make_service)
