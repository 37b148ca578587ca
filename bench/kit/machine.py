"""On what a measurement was made."""

import asyncio
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import aiormq
import psycopg

from waybill_testkit.broker import Broker
from waybill_testkit.postgres import Postgres

#: Whose versions matter for the figures.
_PACKAGES = (
    *("fastapi", "uvicorn", "faststream", "aio-pika", "sqlalchemy"),
    *("celery", "taskiq", "dramatiq", "saq", "procrastinate"),
)


def describe(broker: Broker, postgres: Postgres | None) -> dict[str, str]:
    """The machine, the versions, the time, and how busy the machine was with other things."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{len(os.sched_getaffinity(0))} cores, {_processor()}",
        "memory": f"{_memory_gb():.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "rabbitmq": asyncio.run(_rabbitmq(broker.amqp_url)),
        "postgresql": "-" if postgres is None else _postgresql(postgres.url),
        "versions": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "load before": f"{os.getloadavg()[0]:.1f} (1-minute average; above 0.5 others were at work)",
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3


async def _rabbitmq(amqp_url: str) -> str:
    connection = await aiormq.connect(amqp_url)
    try:
        return str(connection.server_properties["version"])
    finally:
        await connection.close()


def _postgresql(url: str) -> str:
    with psycopg.connect(url) as connection:
        number = connection.info.server_version
    return f"{number // 10_000}.{number % 10_000}"
