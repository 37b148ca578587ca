"""`python -m gateway`: serves the API."""

from chassis.logs import configure_logging
from chassis.process import run
from chassis.tracing import configure_tracing
from gateway.process import GatewayProcess
from gateway.settings import GatewaySettings

if __name__ == "__main__":
    settings = GatewaySettings()
    configure_logging("gateway", level=settings.log_level, format_=settings.log_format)
    configure_tracing("gateway")
    run(lambda: GatewayProcess(settings))
