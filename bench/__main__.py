"""Measures Waybill, its peers and the raw pipeline side by side, or the images service beside libraries."""

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import raw
from bench.chart import draw
from bench.figures import FULL, QUICK, Durations, Round
from bench.hot.profile import profile
from bench.images import compare_images
from bench.kit.machine import describe
from bench.kit.place import Place
from bench.kit.redis_server import RedisError, private_redis
from bench.kit.usage import Server, Watched
from bench.measure import Measurement
from bench.summary import Summary
from bench.systems.base import System
from bench.systems.celery import Celery, CeleryOnRedis
from bench.systems.dramatiq import Dramatiq
from bench.systems.procrastinate import Procrastinate
from bench.systems.saq import Saq
from bench.systems.taskiq import Taskiq
from bench.systems.waybill import Waybill, WaybillOnPostgres
from bench.table import table
from waybill_testkit.broker import Broker, BrokerError, private_broker
from waybill_testkit.postgres import InstalledPostgres, Postgres, PostgresError, private_postgres

SYSTEMS: Mapping[str, type[System]] = {
    "waybill": Waybill,
    "waybill-postgres": WaybillOnPostgres,
    "celery": Celery,
    "celery-redis": CeleryOnRedis,
    "taskiq": Taskiq,
    "dramatiq": Dramatiq,
    "saq": Saq,
    "procrastinate": Procrastinate,
}
#: Those of the table with which the others are compared.
OURS = (Waybill.NAME, WaybillOnPostgres.NAME)
#: The role of its server.
POSTGRES = "postgres"
#: Its key among the systems.
RAW = "raw"
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Runs the command line; 1 if anything was refused."""
    arguments = _parser().parse_args()
    RESULTS.mkdir(exist_ok=True)
    if arguments.command == "images":
        return compare_images(RESULTS)
    if arguments.command == "profile":
        return profile(RESULTS)
    durations = QUICK if arguments.quick else FULL
    chosen = arguments.only or [*SYSTEMS, RAW]
    try:
        with tempfile.TemporaryDirectory(prefix="waybill-bench-", dir=arguments.folder) as folder:
            return _compare(Path(folder), chosen, durations, arguments.rounds or durations.rounds)
    except (BrokerError, RedisError, PostgresError) as error:
        print(error, file=sys.stderr)
        return 1


def _compare(folder: Path, chosen: Sequence[str], durations: Durations, rounds: int) -> int:
    with _servers(folder, chosen) as servers:
        done: list[tuple[str, Round]] = []
        for number in range(rounds):
            # What disturbs the machine disturbs them all; and none always comes after the same other.
            for key in random.sample(chosen, len(chosen)):
                print(f"round {number + 1} of {rounds}: {key}", flush=True)
                done.append((key, servers.measure(key, folder / f"{number}-{key}", durations)))
        machine = describe(servers.broker, servers.postgres)
    # In the order of the table, and of the rounds.
    results = [each for key in chosen for other, each in done if other == key]
    _report(Summary(results), machine)
    return 1 if any(each.faults for each in results) else 0


@dataclass(frozen=True, slots=True)
class _Servers:
    """What the systems share, one after the other."""

    broker: Broker
    redis_url: str
    #: None: no system of this run needs one.
    postgres: Postgres | None
    #: Their processes, by role.
    processes: Mapping[str, Watched]

    def measure(self, key: str, folder: Path, durations: Durations) -> Round:
        """Measures a system, with a virtual host, and if need be a database, of its own."""
        with ExitStack() as stack:
            vhost = stack.enter_context(self.broker.vhost())
            system = SYSTEMS.get(key)
            needs_postgres = system is not None and system.NEEDS_POSTGRES
            database = ""
            if self.postgres is not None and needs_postgres:
                database = stack.enter_context(self.postgres.database())
            place = Place.fresh(
                folder, amqp_url=self.broker.vhost_url(vhost), redis_url=self.redis_url, postgres_url=database
            )
            if system is None:
                return raw.measure_raw(place, durations)
            used = {role: each for role, each in self.processes.items() if role != POSTGRES or database}
            return Measurement(system(place), place, durations, used).run()


@contextmanager
def _servers(folder: Path, chosen: Sequence[str]) -> Iterator[_Servers]:
    with ExitStack() as stack:
        broker = stack.enter_context(private_broker(folder / "broker", amqp_url=os.environ.get("AMQP_URL")))
        redis_url, redis = stack.enter_context(private_redis(folder / "redis"))
        processes: dict[str, Watched] = {"redis": redis}
        postgres = None
        if any(SYSTEMS[key].NEEDS_POSTGRES for key in chosen if key != RAW):
            postgres = stack.enter_context(private_postgres(careless=False))
            if isinstance(postgres, InstalledPostgres):
                processes[POSTGRES] = Server(postgres.pid)
        yield _Servers(broker, redis_url, postgres, processes)


def _report(summary: Summary, machine: Mapping[str, str]) -> None:
    about = {system.NAME: (system.RECORDS, system.SETUP) for system in SYSTEMS.values()}
    about[raw.NAME] = (raw.RECORDS, raw.SETUP)
    text = table(summary, machine, about, OURS)
    print(f"\n{text}\n")
    (RESULTS / "bench.md").write_text(text + "\n")
    rounds = [asdict(each) for each in summary.rounds]
    (RESULTS / "bench.json").write_text(json.dumps({"machine": machine, "rounds": rounds}, indent=1) + "\n")
    title = f"{machine['processor']}, RabbitMQ {machine['rabbitmq']}, {machine['date']}"
    draw(summary, RESULTS / "bench.png", ours=OURS, limit=raw.NAME, title=title)
    print(f"written: {RESULTS}/bench.md, bench.json, bench.png")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "command",
        nargs="?",
        choices=["systems", "images", "profile"],
        default="systems",
        help="what to compare",
    )
    parser.add_argument("--quick", action="store_true", help="one short round, to see it work")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"how many (default: {FULL.rounds})")
    parser.add_argument("--only", action="append", choices=[*SYSTEMS, RAW], help="leave out the others")
    parser.add_argument(
        "--folder", type=Path, help="where databases and the broker's data are (default: the system's)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
