"""The failure desk with very many letters: `python -m bench.large.desk --letters 100000`.

Fills a ledger on SQLite, times the calls of an operator, then starts a redrive with no consumer at the work
queue and counts how fast it goes out, and how much memory the desk takes. Processor time stands beside the
wall clock, which a busy machine makes meaningless.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import aio_pika

from waybill_contracts.registry import built_in_registry
from waybill_contracts.wire import LifecycleType
from waybill_database import Records
from waybill_ledger import Submission, accept, apply_events
from waybill_ledger.deadletters.groups import GroupFilter, list_groups
from waybill_ledger.deadletters.intake import letter_of, take_in
from waybill_ledger.deadletters.letters import LetterFilter, list_letters
from waybill_ledger.deadletters.redrives import NewRedrive, Redrive, Start, get_redrive, make_redrive, start
from waybill_ledger.migrations import upgrade
from waybill_ledger.schema import OUTBOX
from waybill_testkit.broker import private_broker
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import ERROR, dead_message, event_in, gate_of, new_task, reported, sync_event
from waybill_worker.broker import topology

Result = TypeVar("Result")
#: Letters in one transaction while the ledger is filled.
CHUNK = 1000
#: For the letters to go out, on the busiest machine.
PATIENCE_SECONDS = 600
#: Groups that the letters fall into.
FAULTS = ("refused", "answered 503", "answered 401", "timed out", "broke off")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.large.desk", description=__doc__)
    parser.add_argument("--letters", type=int, default=100_000, help="in the ledger (default: %(default)s)")
    parser.add_argument("--sent", type=int, default=5_000, help="of them redriven (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=1000, help="letters a second (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waybill-desk-") as folder:
        asyncio.run(_measure(Path(folder), arguments.letters, arguments.sent, arguments.rate))


async def _measure(folder: Path, letters: int, sent: int, rate: float) -> None:
    url = f"sqlite:///{folder}/ledger.db"
    upgrade(url)
    records = Records(url)
    for first in range(0, letters, CHUNK):
        _fill(records, min(CHUNK, letters - first))
    now = datetime.now(UTC)
    groups = partial(list_groups, wanted=GroupFilter(), now=now, limit=50, cursor=None)
    found = await _timed("groups", records.read(groups))
    largest = max(found.groups, key=lambda group: group.total).id
    for what, wanted in (
        ("newest letters", LetterFilter()),
        ("a page of the largest group", LetterFilter(group=largest)),
        ("letters by words that none has", LetterFilter(q="no such words")),
    ):
        await _timed(what, records.read(partial(list_letters, wanted=wanted, limit=50, cursor=None)))
    everything = await _timed("plan of all letters", _planned(records, LetterFilter(service="sync"), rate))
    print(f"  {everything.letters} letters planned, {everything.dry_run['will_run']} would run")
    page = await records.read(
        partial(list_letters, wanted=LetterFilter(), limit=min(sent, letters), cursor=None)
    )
    some = await _planned(records, LetterFilter(ids=[letter["id"] for letter in page.letters]), rate)
    with private_broker(folder / "broker") as broker, broker.vhost() as vhost:
        await _send(records, url, broker.vhost_url(vhost), some)
    await records.close()


def _fill(records: Records, count: int) -> None:
    tasks = [new_task(sync_event(str(n))) for n in range(count)]
    errors = [
        ERROR.model_copy(update={"message": f"order-{n} {FAULTS[n % len(FAULTS)]}"}) for n in range(count)
    ]
    with records.engine.begin() as connection:
        accept(connection, [Submission(task) for task in tasks])
        connection.execute(OUTBOX.delete())
        deaths = [reported(LifecycleType.DEAD, t.id, service="sync", kind=t.kind, attempt=4) for t in tasks]
        apply_events(connection, deaths)
        messages = [dead_message(event_in(t), t.id, error=e) for t, e in zip(tasks, errors, strict=True)]
        take_in(connection, [letter_of(message, gate=gate_of()) for message in messages])


async def _planned(records: Records, wanted: LetterFilter, rate: float) -> Redrive:
    new = NewRedrive(wanted, (), rate, 0, None, "bench", datetime.now(UTC), {}, gate=gate_of())
    return await _redrive(records, await make_redrive(records, new))


async def _redrive(records: Records, redrive_id: int) -> Redrive:
    found = await records.read(partial(get_redrive, redrive_id=redrive_id))
    if found is None:
        raise LookupError(f"redrive {redrive_id} is gone")
    return found


async def _send(records: Records, ledger_url: str, amqp_url: str, plan: Redrive) -> None:
    async with await aio_pika.connect(amqp_url) as connection, connection.channel() as channel:
        await topology.declare(channel, built_in_registry())
    with _desk(ledger_url, amqp_url) as pid:
        await records.write(start, Start(plan.id, plan.hash, "bench", datetime.now(UTC)))
        await eventually(lambda: _is_begun(records, plan.id))
        begun, spent, memory = time.monotonic(), _cpu_seconds(pid), _megabytes(pid)
        await eventually(lambda: _all_are_out(records, plan.id), seconds=PATIENCE_SECONDS)
        seconds, cpu = time.monotonic() - begun, _cpu_seconds(pid) - spent
        print(
            f"{plan.letters} letters redriven in {seconds:.1f} s: {plan.letters / seconds:.0f}/s, "
            f"{cpu / plan.letters * 1000:.2f} ms of processor each; "
            f"the desk's memory went from {memory} to {_megabytes(pid)} MB; load {os.getloadavg()[0]:.0f}"
        )


async def _is_begun(records: Records, redrive_id: int) -> bool:
    return (await _redrive(records, redrive_id)).progress.sent > 0


async def _all_are_out(records: Records, redrive_id: int) -> bool:
    return not (await _redrive(records, redrive_id)).progress.waiting


@contextmanager
def _desk(ledger_url: str, amqp_url: str) -> Iterator[int]:
    settings = {
        "WAYBILL_AMQP_URL": amqp_url,
        "WAYBILL_LEDGER_URL": ledger_url,
        "WAYBILL_LOG_LEVEL": "warning",
    }
    desk = subprocess.Popen([sys.executable, "-m", "waybill_deadletters"], env=os.environ | settings)
    try:
        yield desk.pid
    finally:
        desk.terminate()
        desk.wait()


async def _timed(what: str, work: Awaitable[Result]) -> Result:
    wall, cpu = time.monotonic(), time.process_time()
    result = await work
    print(f"{what}: {time.monotonic() - wall:.2f} s ({time.process_time() - cpu:.2f} s of processor)")
    return result


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


if __name__ == "__main__":
    main()
