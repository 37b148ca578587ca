"""`python -m waybill_gateway`: serves the API."""

import gc

if __name__ == "__main__":
    # Nothing that imports make is garbage: it is looked for once the work begins (`freeze_startup`).
    gc.disable()
    # Imported here: a process that examines images imports this module too, and needs nothing of the gateway.
    from waybill_gateway.process import GatewayProcess
    from waybill_gateway.settings import GatewaySettings
    from waybill_worker.runtime import read_arguments, start

    read_arguments("waybill_gateway")
    start("gateway", GatewaySettings, GatewayProcess)
