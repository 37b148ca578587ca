"""The measuring, tried on a gateway that is a few lines long, and loses or refuses what the test wants."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from bench.figures import Durations, Round
from bench.kit.load import Target
from bench.kit.payload import ROUTE, body
from bench.kit.place import Place
from bench.kit.programs import Program, answers
from bench.measure import Measurement
from bench.systems.base import System

SHORT = Durations(
    accepting=0.2,
    end_to_end=0.2,
    half_load=0.2,
    few=0.2,
    bulk=0.3,
    rounds=1,
    raw_messages=0,
    warm_up=0.1,
    patience=1,
)
#: Where nothing is missing, however busy the machine is; it posts fewer than may be under way.
PATIENT = replace(SHORT, half_load=0.05, patience=60)
GATEWAY = """
import json, sys
import uvicorn
from bench.kit.stamps import Stamps

stamps = Stamps.from_environment()
port, lose_every, refuse_every = map(int, sys.argv[1:])

async def app(scope, receive, send):
    number = -1
    if scope["method"] == "POST":
        number = int(json.loads((await receive())["body"])["id"])
        if not lose_every or number % lose_every:
            stamps.begin(number)
    refused = refuse_every and number > 0 and not number % refuse_every
    status = 500 if refused else 202 if number >= 0 else 200
    body = json.dumps({"id": str(number)}).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

uvicorn.run(app, port=port, lifespan="off", log_level="warning")
"""


class Gateway(System):
    """Runs each task while it accepts it."""

    NAME: ClassVar = "gateway"
    RECORDS: ClassVar = "nothing"
    SETUP: ClassVar = "one process"
    NEEDS_POSTGRES: ClassVar[bool] = False
    #: As if each record were that many tasks.
    BULK: ClassVar[tuple[Target, int] | None] = (Target(ROUTE, body), 1000)
    lose_every: ClassVar = 0
    refuse_every: ClassVar = 0

    def __init__(self, place: Place) -> None:
        self._place = place

    def prepare(self) -> None:
        return

    def accepting(self) -> Sequence[Program]:
        place = self._place
        argv = [sys.executable, "-c", GATEWAY, str(place.api_port)]
        argv += [str(self.lose_every), str(self.refuse_every)]
        return (Program("api", argv, place.environment, answers(place.api_url)),)

    def working(self) -> Sequence[Program]:
        return ()

    def outstanding(self) -> int:
        return 0

    def recorded(self, posted: int) -> int:
        return sum(map(bool, self._place.stamps.runs(posted)))

    def without_outcome(self, accepted: Mapping[str, int]) -> set[str]:
        runs = self._place.stamps.runs(max(accepted.values()) + 1)
        return {id_ for id_, number in accepted.items() if not runs[number]}

    def close(self) -> None:
        return


class Loser(Gateway):
    lose_every: ClassVar = 7


class Refuser(Gateway):
    refuse_every: ClassVar = 7


def measured(system: type[Gateway], folder: Path, durations: Durations = SHORT) -> Round:
    place = Place.fresh(folder / "place", amqp_url="amqp://none", redis_url="redis://none")
    return Measurement(system(place), place, durations, {}).run()


def test_a_sound_system_has_all_its_figures(tmp_path: Path) -> None:
    result = measured(Gateway, tmp_path, PATIENT)

    assert result.faults == []
    assert result.run_twice == 0
    assert all(
        result.values[key] > 0
        for key in ("accepted", "end_to_end", "drain", "half_load", "pickup_p50", "pickup_p99", "few_p50")
    )
    assert result.values["bulk"] > 100 * result.values["accepted"]
    # Its process is not the only one that works meanwhile.
    assert result.values["bulk_core"] > result.values["bulk"]
    assert result.usage["api"].processes == 1
    assert set(result.usage["api"].cpu_us_per_task) == {"full load", "half load", "20/s"}
    assert result.usage["api"].idle_mb > 1


def test_accepted_tasks_that_are_lost_are_a_fault(tmp_path: Path) -> None:
    (fault,) = measured(Loser, tmp_path).faults

    assert "accepted tasks have no recorded outcome" in fault


def test_a_post_that_fails_is_a_fault(tmp_path: Path) -> None:
    (fault,) = measured(Refuser, tmp_path).faults

    assert "posts failed: 500" in fault


def test_a_process_that_does_not_start_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Gateway) -> Sequence[Program]:
        del self
        return (Program("api", [sys.executable, "-c", "raise SystemExit('no port')"], {}, lambda: False),)

    monkeypatch.setattr(Gateway, "accepting", broken)

    (fault,) = measured(Gateway, tmp_path).faults

    assert "api ended with 1" in fault
    assert "no port" in fault
