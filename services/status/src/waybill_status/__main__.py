"""`python -m waybill_status`: runs the status service."""

from waybill_status.app import make_service
from waybill_status.settings import StatusSettings
from waybill_worker.runtime import start

if __name__ == "__main__":
    start("status", StatusSettings, make_service)
