"""`python -m gateway`: serves the API."""

from chassis.starting import start
from gateway.process import GatewayProcess
from gateway.settings import GatewaySettings

if __name__ == "__main__":
    start("gateway", GatewaySettings, GatewayProcess)
