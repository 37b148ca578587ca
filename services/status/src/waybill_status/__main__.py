"""`python -m waybill_status`: runs the status service."""

import gc

if __name__ == "__main__":
    # Nothing that imports make is garbage: it is looked for once the work begins (`freeze_startup`).
    gc.disable()
    from waybill_status.app import make_service
    from waybill_status.settings import StatusSettings
    from waybill_worker.runtime import read_arguments, start

    read_arguments("waybill_status")
    start("status", StatusSettings, make_service)
