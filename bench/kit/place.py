"""Surroundings of one measured system: own ports, virtual host, Redis and folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.kit.stamps import VARIABLE, Stamps
from waybill_testkit.machine import LOOPBACK, free_ports

#: Environment variables with the addresses, for a peer's processes.
AMQP_VARIABLE, REDIS_VARIABLE = "BENCH_AMQP_URL", "BENCH_REDIS_URL"
POSTGRES_VARIABLE = "BENCH_POSTGRES_URL"
#: Set: Celery's queue is in this database of Redis, not in RabbitMQ.
CELERY_REDIS_VARIABLE = "BENCH_CELERY_REDIS_URL"


@dataclass(frozen=True, slots=True)
class Place:
    """One system's surroundings in one round."""

    folder: Path
    amqp_url: str
    redis_url: str
    stamps: Stamps
    api_port: int
    #: A database of its own; empty: it needs none.
    postgres_url: str = ""

    @classmethod
    def fresh(cls, folder: Path, *, amqp_url: str, redis_url: str, postgres_url: str = "") -> "Place":
        """A place in a folder that does not exist yet."""
        folder.mkdir(parents=True)
        (port,) = free_ports(1)
        return cls(folder, amqp_url, redis_url, Stamps(folder / "stamps"), port, postgres_url)

    @property
    def environment(self) -> Mapping[str, str]:
        """Settings of every process of the system."""
        return {
            VARIABLE: str(self.stamps.path),
            AMQP_VARIABLE: self.amqp_url,
            REDIS_VARIABLE: self.redis_url,
            POSTGRES_VARIABLE: self.postgres_url,
        }

    @property
    def api_url(self) -> str:
        """The gateway."""
        return f"http://{LOOPBACK}:{self.api_port}"
