"""`python -m gateway`: serves the API."""

import math

import uvicorn

from chassis.logs import configure_logging
from gateway.app import create_app
from gateway.settings import GatewaySettings

if __name__ == "__main__":
    settings = GatewaySettings()
    configure_logging("gateway", level=settings.log_level, format_=settings.log_format)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
    )
