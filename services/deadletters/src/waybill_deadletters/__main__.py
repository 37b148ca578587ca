"""`python -m deadletters_service`: runs the failure desk."""

from chassis.starting import start
from deadletters_service.app import make_service
from deadletters_service.settings import DeskSettings

if __name__ == "__main__":
    start("deadletters", DeskSettings, make_service)
