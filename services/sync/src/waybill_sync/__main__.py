"""`python -m waybill_sync`: runs the sync service."""

from waybill_sync.app import make_service
from waybill_sync.settings import SyncSettings
from waybill_worker.runtime.startup import start

if __name__ == "__main__":
    start("sync", SyncSettings, make_service)
