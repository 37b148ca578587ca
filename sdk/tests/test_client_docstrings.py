"""Each public class and method of the clients has an example in its docstring, which works as written."""

import ast
import asyncio
import hashlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from inspect import CO_COROUTINE
from pathlib import Path
from types import FunctionType
from typing import Annotated, Any, Final

import pytest

from waybill import AsyncClient, Client, Event, FileRef, Person, Sensitive, Submission, client
from waybill.client import AsyncSchedules, Schedules, new_key
from waybill.kinds import EmailRequested
from waybill.problems import (
    ClientError,
    InvalidDataError,
    NoSuchVariantError,
    ProblemError,
    TokenUnknownError,
)
from waybill_contracts.files import results_of
from waybill_contracts.registry import HandledKind, Manifest
from waybill_contracts.wire import LifecycleType
from waybill_testkit.gateway.served import Served
from waybill_testkit.photograph import make_photograph
from waybill_testkit.samples import reported

CLASSES: Final = (Client, AsyncClient, Schedules, AsyncSchedules)
#: What an example meets here, where no person got a token, and no service makes variants.
ENDS_WITH: Final[dict[str, type[ClientError]]] = {
    "redeem_password_reset": TokenUnknownError,
    "download_variant": NoSuchVariantError,
}


class InvoiceRequested(Event, kind="invoice.requested"):
    order_id: str
    email: Annotated[str, Sensitive, Person] = "ann@example.com"


class ContractSigned(Event, kind="contract.signed"):
    order_id: str
    document: FileRef


def example_in(documented: Any) -> str | None:
    """The indented lines of a docstring, up to its sections; None: it has none."""
    text = re.split(r"^\w+:$", inspect.getdoc(documented) or "", maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in text.splitlines() if line.startswith("    ") or not line]
    found = textwrap.dedent("\n".join(lines)).strip()
    return found or None


def documented() -> Iterator[Any]:
    yield from CLASSES[:2]
    yield new_key
    yield ProblemError
    for each in CLASSES:
        yield from (
            method
            for name, method in inspect.getmembers(each, inspect.isfunction)
            if not name.startswith("_")
        )


ALL: Final = {each.__qualname__: each for each in documented()}


def test_each_class_of_the_clients_is_looked_at() -> None:
    classes = {each for each in vars(client).values() if inspect.isclass(each) and hasattr(each, "list")}
    assert classes <= set(CLASSES)


@pytest.mark.parametrize("name", ALL)
def test_an_example_works(
    name: str, gateway: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = example_in(ALL[name])
    assert text is not None, f"{name} has no example"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan.pdf").write_bytes(b"%PDF-1.7 ...")
    make_photograph(tmp_path / "photograph.png")
    with Client(gateway.url) as used:
        register(used)
        asyncio.run(run(text.replace("http://127.0.0.1:8000", gateway.url), name, gateway, used, tmp_path))


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
    if not name.endswith(".cancel"):
        complete(gateway, accepted.id, folder)
    mail = EmailRequested(to="ann@example.com", subject="The week", text="Here it is.")
    given = {
        **globals(),
        "accepted": accepted,
        "task": accepted,
        "event": event,
        "events": [event],
        "key": new_key(),
        "report": mail,
        "beat": {"target": "crm", "resource": "beats", "id": "1", "data": {}},
        "schedule": used.schedules.create("daily", mail, cron="@daily"),
        "token": "a" * 43,
    }
    code = compile(text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with AsyncClient(gateway.url) as for_asyncio:
        given["client"] = for_asyncio if name.startswith("Async") else used
        error = ENDS_WITH.get(name.rpartition(".")[2])
        if error is None:
            await executed(code, given)
        else:
            with pytest.raises(error):
                await executed(code, given)


async def executed(code: Any, given: dict[str, Any]) -> None:
    if code.co_flags & CO_COROUTINE:
        await FunctionType(code, given)()
    else:
        await asyncio.to_thread(exec, code, given)


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


#: Names that examples use, beside those of `run`.
USED_BY_EXAMPLES: Final = (Submission, InvalidDataError)
