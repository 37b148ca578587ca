"""`python -m waybill_deadletters`: runs the failure desk."""

from waybill_deadletters.app import make_service
from waybill_deadletters.settings import DeskSettings
from waybill_worker.runtime import start

if __name__ == "__main__":
    start("deadletters", DeskSettings, make_service)
