"""`python -m images_service`: runs the images service."""

from chassis.logs import configure_logging
from chassis.process import run
from images_service.app import make_service
from images_service.settings import ImagesSettings

if __name__ == "__main__":
    settings = ImagesSettings()
    configure_logging("images", level=settings.log_level, format_=settings.log_format)
    run(lambda: make_service(settings))
