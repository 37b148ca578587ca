"""`python -m status_service`: runs the status service."""

from chassis.starting import start
from status_service.app import make_service
from status_service.settings import StatusSettings

if __name__ == "__main__":
    start("status", StatusSettings, make_service)
