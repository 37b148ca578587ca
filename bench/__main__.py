"""Measures Waybill, its peers and the raw pipeline side by side, or the images service beside libraries."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from bench import raw
from bench.chart import draw
from bench.figures import FULL, QUICK, Durations, Round
from bench.images import compare_images
from bench.machine import describe
from bench.measure import Measurement
from bench.place import Place
from bench.profile import profile
from bench.programs import Running
from bench.redis_server import RedisError, private_redis
from bench.summary import Summary
from bench.systems.base import System
from bench.systems.celery import Celery
from bench.systems.dramatiq import Dramatiq
from bench.systems.taskiq import Taskiq
from bench.systems.waybill import Waybill
from bench.table import table
from waybill_testkit.broker import Broker, BrokerError, private_broker

SYSTEMS: Mapping[str, type[System]] = {
    "waybill": Waybill,
    "celery": Celery,
    "taskiq": Taskiq,
    "dramatiq": Dramatiq,
}
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
    except (BrokerError, RedisError) as error:
        print(error, file=sys.stderr)
        return 1


def _compare(folder: Path, chosen: list[str], durations: Durations, rounds: int) -> int:
    with (
        private_broker(folder / "broker", amqp_url=os.environ.get("AMQP_URL")) as broker,
        private_redis(folder / "redis") as (redis_url, redis),
    ):
        machine = describe(broker)
        done: list[Round] = []
        for number in range(rounds):
            for key in chosen:  # A B C A B C: what disturbs the machine disturbs them all
                place_folder = folder / f"{number}-{key}"
                print(f"round {number + 1} of {rounds}: {key}", flush=True)
                done.append(_one(broker, key, place_folder, redis_url, redis, durations))
    _report(Summary(done), machine)
    return 1 if any(each.faults for each in done) else 0


def _one(
    broker: Broker, key: str, folder: Path, redis_url: str, redis: Running, durations: Durations
) -> Round:
    with broker.vhost() as vhost:
        place = Place.fresh(folder, amqp_url=broker.vhost_url(vhost), redis_url=redis_url)
        if key == RAW:
            return raw.measure_raw(place, durations)
        return Measurement(SYSTEMS[key](place), place, durations, {"redis": redis}).run()


def _report(summary: Summary, machine: Mapping[str, str]) -> None:
    about = {system.NAME: (system.RECORDS, system.SETUP) for system in SYSTEMS.values()}
    about[raw.NAME] = (raw.RECORDS, raw.SETUP)
    text = table(summary, machine, about, Waybill.NAME)
    print(f"\n{text}\n")
    (RESULTS / "bench.md").write_text(text + "\n")
    rounds = [asdict(each) for each in summary.rounds]
    (RESULTS / "bench.json").write_text(json.dumps({"machine": machine, "rounds": rounds}, indent=1) + "\n")
    title = f"{machine['processor']}, RabbitMQ {machine['rabbitmq']}, {machine['date']}"
    draw(summary, RESULTS / "bench.png", ours=Waybill.NAME, limit=raw.NAME, title=title)
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
