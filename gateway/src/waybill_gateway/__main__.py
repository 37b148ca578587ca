"""`python -m gateway`: serves the API."""

if __name__ == "__main__":
    # Only here: a process that looks into images imports this module too, and needs nothing of the gateway.
    from chassis.starting import start
    from gateway.process import GatewayProcess
    from gateway.settings import GatewaySettings

    start("gateway", GatewaySettings, GatewayProcess)
