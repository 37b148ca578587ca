"""`python -m waybill_images`: runs the images service."""

if __name__ == "__main__":
    # Not at the top: each render worker imports this module too, and does not need the service.
    from waybill_images.app import make_service
    from waybill_images.settings import ImagesSettings
    from waybill_worker.service import run_service

    run_service("images", ImagesSettings, make_service)
