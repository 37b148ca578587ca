"""`python -m waybill_sync`: runs the sync service."""

from waybill_sync.app import make_service
from waybill_sync.settings import SyncSettings
from waybill_worker.service import run_service

if __name__ == "__main__":
    run_service("sync", SyncSettings, make_service)
