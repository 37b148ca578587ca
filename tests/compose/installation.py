"""An installation of compose.yaml for a test: its own project, ports, secrets and image tags."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waybill_devstack.tour.compose import Compose
from waybill_testkit.broker.container import IMAGE_SETTING
from waybill_testkit.machine.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
#: Of the images that are tried.
VERSION = "test"
PUBLISHED = ("GATEWAY", "MANAGEMENT", "MAILBOX", "CRM")


def environment(secret_files: Path) -> dict[str, str]:
    """Environment of `docker compose`, without the settings of an installation on this machine.

    Except which RabbitMQ it is tried with.
    """
    broker = {IMAGE_SETTING: os.environ[IMAGE_SETTING]} if IMAGE_SETTING in os.environ else {}
    own = {name: value for name, value in os.environ.items() if not name.startswith(("WAYBILL_", "COMPOSE_"))}
    addresses = {
        f"WAYBILL_{name}_ADDRESS": f"127.0.0.1:{port}"
        for name, port in zip(PUBLISHED, free_ports(len(PUBLISHED)), strict=True)
    }
    return (
        own
        | broker
        | addresses
        | {
            "COMPOSE_PROJECT_NAME": f"waybill-test-{secrets.token_hex(3)}",
            "COMPOSE_ENV_FILES": "deploy/demo.env",
            "WAYBILL_VERSION": VERSION,
            "WAYBILL_SECRETS": str(secret_files),
            # Though it is the demo: as an installation is.
            "WAYBILL_GATEWAY_AUTH": "keys",
            "WAYBILL_GATEWAY_OPEN_TO_ANYONE": "false",
        }
    )


@contextmanager
def installed(settings: dict[str, str]) -> Iterator[Compose]:
    """Builds the images and starts all of it; takes it down with its volumes, whatever happens."""
    compose = Compose(ROOT, settings)
    compose.run("build", "--quiet")
    try:
        compose.run("up", "--detach", "--wait")
        yield compose
    finally:
        compose.run("down", "--volumes", "--timeout", "10")
