"""`python -m waybill_email`: runs the email service."""

import gc

if __name__ == "__main__":
    # Nothing that imports make is garbage: it is looked for once the work begins (`freeze_startup`).
    gc.disable()
    from waybill_email.app import service
    from waybill_worker.runtime import read_arguments

    read_arguments("waybill_email")
    service.run()
