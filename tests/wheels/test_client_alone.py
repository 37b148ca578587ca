"""`pip install waybill`, and nothing else: what that brings, and an application that runs with it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wheels.built import ROOT, UV, run
from waybill_testkit.gateway.served import Served, served

INSTALL_SECONDS, RUN_SECONDS = 300, 60
#: All that an application gets: ours, pydantic, httpx, and what these two need.
EXPECTED = {
    *("waybill", "waybill-contracts"),
    *("pydantic", "pydantic-core", "annotated-types", "typing-extensions", "typing-inspection"),
    *("httpx", "httpcore", "h11", "anyio", "certifi", "idna"),
}
APPLICATION = """
import asyncio
import sys
from typing import Annotated

from waybill import (
    AsyncClient,
    Attempt,
    Client,
    Event,
    FileRef,
    PermanentError,
    Person,
    Sensitive,
    Service,
    Submission,
    SyncAttempt,
)
from waybill.kinds import EmailRequested
from waybill.problems import InvalidDataError, UnknownKindError


class InvoiceRequested(Event, kind="invoice.requested", about="order {order_id}"):
    order_id: str
    email: Annotated[str, Sensitive, Person]


service = Service("invoices")


@service.task(attempts=5, soft_limit=30)
async def remind(attempt: Attempt, email: Annotated[str, Sensitive, Person], days: int = 3) -> None:
    raise PermanentError("only a service runs it")


@service.task
def close(month: str) -> dict[str, object]:
    return {"closed": month}


assert close.local("2026-01") == {"closed": "2026-01"}
try:
    service.manifest()
except ModuleNotFoundError as error:
    print(str(error).partition(": ")[2])
try:
    print(remind.submit("ann@example.com"))
except UnknownKindError:
    print("its service is not registered")
mail = EmailRequested(to="ann@example.com", subject="Your order", text="It is on its way.")
with Client() as client:
    accepted = client.submit(mail, key="order-17")
    assert client.submit_many([Submission(mail, key="order-17")])[0].id == accepted.id
    print(client.get(accepted.id).state, client.timeline(accepted.id).events[0].type)
    try:
        client.submit("sync.requested", {"target": "crm"})
    except InvalidDataError as problem:
        print(problem.errors[0].field)


async def main() -> None:
    async with AsyncClient() as client:
        print((await client.submit(mail, key="order-17")).id == accepted.id)


asyncio.run(main())
print(InvoiceRequested.sensitive_fields() == {"email"})
print(*sorted({name.partition(".")[0] for name in sys.modules if name.startswith("waybill_")}))
"""


@pytest.fixture(scope="module")
def environment(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with `waybill` in it, of the tested versions of what others publish."""
    folder = tmp_path_factory.mktemp("application") / "environment"
    run([UV, "venv", "--quiet", "--python", sys.executable, folder], INSTALL_SECONDS)
    install: list[str | Path] = [UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
    constraint = ROOT / "requirements" / "dev.txt"
    run([*install, "--find-links", wheels, "--constraint", constraint, "waybill"], INSTALL_SECONDS)
    return folder


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


def test_an_application_gets_pydantic_and_an_http_client(environment: Path) -> None:
    listed = subprocess.run(
        [UV, "pip", "list", "--format=freeze", "--python", environment / "bin" / "python"],
        capture_output=True,
        text=True,
        check=True,
        timeout=RUN_SECONDS,
    ).stdout
    assert {line.partition("==")[0] for line in listed.splitlines()} == EXPECTED


def test_an_application_runs_with_it(environment: Path, gateway: Served, tmp_path: Path) -> None:
    program = tmp_path / "application.py"
    program.write_text(APPLICATION)
    done = subprocess.run(
        [environment / "bin" / "python", "-W", "error", program],
        env={"PATH": os.environ["PATH"], "WAYBILL_URL": gateway.url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "pip install 'waybill[service]' brings it",
        "its service is not registered",
        "pending task.accepted",
        "/data/resource",
        "True",
        "True",
        "waybill_contracts",
    ]
