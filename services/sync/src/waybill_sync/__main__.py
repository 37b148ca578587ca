"""`python -m waybill_sync`: runs the sync service."""

from waybill_sync.app import service

if __name__ == "__main__":
    service.run()
