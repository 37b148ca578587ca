"""Time of registering while very many tasks are open: `python -m bench.large.registering`.

A ledger has a million tasks without an outcome. Through a gateway, services are registered, refused and
retired; each call is measured from the request to the answer, on SQLite and on PostgreSQL. The target is two
seconds.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx

from bench.kit.filling import MODEL, Mix, fill_ledger
from waybill_contracts.privacy import Keyring
from waybill_contracts.registry import built_in_manifests
from waybill_gateway.registry import service_routes
from waybill_testkit.gateway.in_process import Gateway, running
from waybill_testkit.postgres import private_postgres

TASKS: Final = 1_000_000
#: Open tasks of all kinds, half of them still in the outbox.
ALL_OPEN: Final = Mix(unpublished=500, pending=500)
ROUNDS: Final = 3
TARGET_SECONDS: Final = 2.0
OK, CREATED, CONFLICT = 200, 201, 409


def main() -> int:
    """Runs the command line; 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.large.registering", description=__doc__)
    parser.add_argument("--tasks", type=int, default=TASKS, help="open tasks (default: %(default)s)")
    arguments = parser.parse_args()
    for name in ("WAYBILL_SEALING_KEYS", "WAYBILL_PERSONS_KEY"):
        os.environ.setdefault(name, Keyring.new_key())
    slowest: list[float] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="waybill-registering-")))
        server = stack.enter_context(private_postgres())
        urls = {
            "SQLite": f"sqlite:///{folder}/ledger.db",
            "PostgreSQL": stack.enter_context(server.database()),
        }
        for database, url in urls.items():
            fill_ledger(url, max(arguments.tasks, MODEL), ALL_OPEN)
            took = asyncio.run(_measured(folder, url))
            print(f"\n| {database}, {arguments.tasks:,} open tasks | slowest of {ROUNDS} |\n|---|---:|")
            for name, seconds in took.items():
                print(f"| {name} | {1000 * max(seconds):.0f} ms |", flush=True)
                slowest += seconds
    return 1 if max(slowest) > TARGET_SECONDS else 0


async def _measured(folder: Path, url: str) -> Mapping[str, list[float]]:
    # Only the work is measured, and not how long a copy may be old.
    service_routes.SETTLE_SECONDS = 0  # type: ignore[misc] # said above
    took: dict[str, list[float]] = {}
    async with running(folder, ledger_url=url) as gateway:
        # The test kit looks each refusal up in the API's description, which takes seconds the first time.
        gateway.client.event_hooks = {}
        for number in range(ROUNDS):
            for name, path, body, status in _calls(number):
                begun = time.perf_counter()
                answer = await _asked(gateway, path, body)
                took.setdefault(name, []).append(time.perf_counter() - begun)
                if answer.status_code != status:
                    raise SystemExit(f"{name}: {answer.status_code} {answer.text}")
    return took


def _calls(number: int) -> Iterator[tuple[str, str, dict[str, Any] | None, int]]:
    service = f"team-{number}"
    own = _manifest(service, f"{service}.work", 1)
    yield "a new service", service, own, CREATED
    yield "a release that reads one version more", "sync", _release(number, (1, 2)), OK
    yield "a release that does not read what waits: refused", "sync", _release(number, (2,)), CONFLICT
    yield (
        "a release that drops a version that nothing waits with",
        service,
        _manifest(service, f"{service}.work", 2),
        OK,
    )
    yield "retire a service with a million tasks: refused", "sync", None, CONFLICT
    yield "retire a service without any", service, None, OK


def _manifest(service: str, kind: str, version: int) -> dict[str, Any]:
    data = {"type": "object", "properties": {"id": {"type": "string"}}}
    handled = {"kind": kind, "version": version, "reads": [version], "data": data}
    return {"manifest": 1, "service": service, "release": str(version), "handles": [handled]}


def _release(number: int, reads: tuple[int, ...]) -> dict[str, Any]:
    (known,) = (each for each in built_in_manifests() if each.service == "sync")
    stated = known.model_dump(mode="json", exclude_defaults=True)
    newer = {"version": max(reads), "reads": list(reads)}
    handles = [each | (newer if each["kind"] == "sync.requested" else {}) for each in stated["handles"]]
    return stated | {"manifest": 1, "release": f"next-{number}", "handles": handles}


async def _asked(gateway: Gateway, service: str, body: dict[str, Any] | None) -> httpx.Response:
    path = f"/v1/services/{service}"
    return await (gateway.client.delete(path) if body is None else gateway.client.put(path, json=body))


if __name__ == "__main__":
    sys.exit(main())
