"""`python -m waybill_images`: runs the images service."""

if __name__ == "__main__":
    # Not at the top: each render worker imports this module too, and does not need the service.
    from waybill_images.app import service

    service.run()
