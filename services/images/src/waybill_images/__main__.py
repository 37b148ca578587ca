"""`python -m waybill_images`: runs the images service."""

import gc

if __name__ == "__main__":
    # Nothing that imports make is garbage: it is looked for once the work begins (`freeze_startup`).
    gc.disable()
    # Not at the top: each render worker imports this module too, and does not need the service.
    from waybill_images.app import service
    from waybill_worker.runtime import read_arguments

    read_arguments("waybill_images")
    service.run()
