"""`python -m images_service`: runs the images service."""

if __name__ == "__main__":
    # Only here: a renderer's process imports this module too, and needs nothing of the service.
    from chassis.logs import configure_logging
    from chassis.process import run
    from chassis.tracing import configure_tracing
    from images_service.app import make_service
    from images_service.settings import ImagesSettings

    settings = ImagesSettings()
    configure_logging("images", level=settings.log_level, format_=settings.log_format)
    configure_tracing("images")
    run(lambda: make_service(settings))
