"""`python -m images_service`: runs the images service."""

if __name__ == "__main__":
    # Only here: a renderer's process imports this module too, and needs nothing of the service.
    from chassis.starting import start
    from images_service.app import make_service
    from images_service.settings import ImagesSettings

    start("images", ImagesSettings, make_service)
