"""`python -m waybill_deadletters`: runs the failure desk."""

import gc

if __name__ == "__main__":
    # Nothing that imports make is garbage: it is looked for once the work begins (`freeze_startup`).
    gc.disable()
    from waybill_deadletters.app import make_service
    from waybill_deadletters.settings import DeskSettings
    from waybill_worker.runtime import read_arguments, start

    read_arguments("waybill_deadletters")
    start("deadletters", DeskSettings, make_service)
