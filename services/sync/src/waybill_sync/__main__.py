"""`python -m sync_service`: runs the sync service."""

from chassis.starting import start
from sync_service.app import make_service
from sync_service.settings import SyncSettings

if __name__ == "__main__":
    start("sync", SyncSettings, make_service)
