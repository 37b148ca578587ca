"""`python -m waybill_email`: runs the email service."""

from waybill_email.app import service

if __name__ == "__main__":
    service.run()
