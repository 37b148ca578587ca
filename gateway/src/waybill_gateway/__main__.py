"""`python -m waybill_gateway`: serves the API."""

if __name__ == "__main__":
    # Imported here: a process that examines images imports this module too, and needs nothing of the gateway.
    from waybill_gateway.process import GatewayProcess
    from waybill_gateway.settings import GatewaySettings
    from waybill_worker.runtime import start

    start("gateway", GatewaySettings, GatewayProcess)
