"""The examples of the clients, and of what they answer, work as written, with a real gateway."""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import httpx
import pytest
from docstring_examples import (
    documented,
    example_in,
    executed,
    has_a_code,
    module_of,
    names_of,
    public_modules,
)

from waybill import AsyncClient, Client, Event, FileRef, Person, Sensitive
from waybill.client import new_key
from waybill.kinds import EmailRequested
from waybill.problems import ClientError, NoSuchVariantError, TokenUnknownError
from waybill_contracts.files import results_of
from waybill_contracts.registry import HandledKind, Manifest
from waybill_contracts.wire import LifecycleType
from waybill_testkit.gateway.served import Served, served
from waybill_testkit.photograph import make_photograph
from waybill_testkit.samples import reported

#: What an example meets here, where no person got a token, and no service makes variants.
ENDS_WITH: Final[dict[str, type[ClientError]]] = {
    "redeem_password_reset": TokenUnknownError,
    "RedeemedPasswordReset": TokenUnknownError,
    "download_variant": NoSuchVariantError,
}


@dataclass
class Order:
    id: str
    task_id: str | None = None


class InvoiceRequested(Event, kind="invoice.requested"):
    order_id: str
    email: Annotated[str, Sensitive, Person] = "ann@example.com"


class ContractSigned(Event, kind="contract.signed"):
    order_id: str
    document: FileRef


#: What runs here: the clients, what they answer, their errors.
OF_CLIENTS: Final = (
    "waybill.client",
    "waybill.problems",
    "waybill.Client",
    "waybill.AsyncClient",
    "waybill.Submission",
)
ALL: Final = {
    name: each for name, each in documented().items() if name.startswith(OF_CLIENTS) and not has_a_code(each)
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("examples")
    (made / "scan.pdf").write_bytes(b"%PDF-1.7 ...")
    make_photograph(made / "photograph.png")
    return made


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[Served]:
    with served(folder) as running, Client(running.url) as used:
        register(used)
        yield running


@pytest.mark.parametrize("name", ALL)
def test_an_example_works(name: str, gateway: Served, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = example_in(ALL[name])
    assert text is not None, f"{name} has no example"
    monkeypatch.chdir(folder)
    with Client(gateway.url) as used:
        for schedule in used.schedules.list():
            used.schedules.delete(schedule.id)
        # All examples have one gateway, and many the key of their reader's order 17.
        text = text.replace("http://127.0.0.1:8000", gateway.url).replace('"order-', f'"{new_key()}-')
        asyncio.run(run(text, name, gateway, used, folder))


def register(used: Client) -> None:
    handles = tuple(
        HandledKind(kind=each.KIND, version=1, reads=(1,), data=each.model_json_schema(), policy={})
        for each in (ContractSigned, InvoiceRequested)
    )
    manifest = Manifest(service="invoices", release="1", handles=handles, emits=())
    used.call("PUT", "/v1/services/invoices", manifest.model_dump(mode="json"))


async def run(text: str, name: str, gateway: Served, used: Client, folder: Path) -> None:
    event = InvoiceRequested(order_id="17")
    accepted = used.submit(event)
    if not name.endswith((".cancel", ".Cancellation")):
        complete(gateway, accepted.id, folder)
    mail = EmailRequested(to="ann@example.com", subject="The week", text="Here it is.")
    given = {
        **{each: value for module in public_modules() for each, value in names_of(module).items()},
        **names_of(module_of(name)),
        "ContractSigned": ContractSigned,
        "InvoiceRequested": InvoiceRequested,
        "Path": Path,
        "httpx": httpx,
        "accepted": accepted,
        "task": accepted,
        "event": event,
        "new": [(Order("17"), event)],
        "tasks": [event],
        "order": Order("17"),
        "events": [event],
        "key": new_key(),
        "report": mail,
        "beat": {"target": "crm", "resource": "beats", "id": "1", "data": {}},
        "schedule": used.schedules.create("daily", mail, cron="@daily"),
        "token": "a" * 43,
    }
    async with AsyncClient(gateway.url) as for_asyncio:
        given["client"] = for_asyncio if "Async" in name else used
        error = ENDS_WITH.get(name.rpartition(".")[2])
        if error is None:
            await executed(text, name, given)
        else:
            with pytest.raises(error):
                await executed(text, name, given)


def complete(gateway: Served, task_id: str, folder: Path) -> None:
    """Has the service complete a task, with a file."""
    sha256 = hashlib.sha256(b"invoice").hexdigest()
    key = f"{results_of(task_id)}/{sha256[:2]}/{sha256}"
    path = folder / "objects" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"invoice")
    file = {"key": key, "sha256": sha256, "size_bytes": 7, "content_type": "application/pdf"}
    done = reported(
        LifecycleType.COMPLETED,
        task_id,
        service="invoices",
        kind="invoice.requested",
        result={"files": {"invoice.pdf": file}},
        has_files=True,
    )
    gateway.happened(done)
