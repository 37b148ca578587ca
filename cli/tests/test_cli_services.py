"""Services are registered, shown and retired from the command line."""

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from command_under_test import EMAIL, Waybill

from waybill_contracts.wire import LifecycleType
from waybill_ledger.registry import confirm_declared, load_registry
from waybill_testkit.gateway.served import Served
from waybill_testkit.samples import reported

DATA = {
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "email": {"type": "string", "sensitive": True}},
    "required": ["order_id"],
    "additionalProperties": False,
}
MODULE = """
from waybill_contracts.registry import HandledKind, Manifest

class Service:
    def manifest(self):
        handled = HandledKind(kind="invoice.requested", reads=(1,), data={data!r})
        return Manifest(service="invoices", release="1", handles=(handled,))

class Teams:
    billing = Service()

teams = Teams()
"""


def manifest(release: str = "1", **changes: Any) -> dict[str, Any]:
    handled = {"kind": "invoice.requested", "reads": [1], "data": DATA} | changes
    return {"manifest": 1, "service": "invoices", "release": release, "handles": [handled]}


def stated(folder: Path, document: object) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps(document))
    return path


def declare(gateway: Served) -> None:
    """What the status service does when the broker has all bindings."""
    gateway.write(
        lambda connection: confirm_declared(connection, [(load_registry(connection), datetime.now(UTC))])
    )


def test_a_service_is_registered_from_a_file(gateway: Served, waybill: Waybill, tmp_path: Path) -> None:
    source = stated(tmp_path, manifest())
    tried = waybill("services", "apply", source, "--dry-run")
    assert (tried.code, tried.out.splitlines()[0]) == (0, "invoices 1 is new")
    assert "Nothing was changed" in tried.err
    assert waybill("services", "show", "invoices").code == 4

    made = waybill("services", "apply", source)
    assert made.code == 0
    assert made.out.splitlines() == [
        "invoices 1 is new",
        "invoice.requested: version 1 is new",
        "invoice.requested: tasks go to invoices",
    ]
    assert "--wait" in made.err
    again = waybill("services", "apply", source, "--json").document
    assert (again["changes"], again["declared"]) == ([], False)
    assert "registered like this already" in waybill("services", "apply", source).out
    declare(gateway)
    assert waybill("services", "apply", source, "--wait", "--timeout", "60").code == 0
    shown = waybill("services", "show", "invoices")
    assert "in use" in shown.out
    assert "invoice.requested" in shown.out
    assert (
        waybill("services", "show", "invoices", "--json").document["manifest"]["handles"][0]["data"] == DATA
    )


def test_a_manifest_comes_from_stdin(waybill: Waybill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(manifest()).encode())))
    assert waybill("services", "apply", "-").code == 0
    assert "invoices" in waybill("services", "ls").out


@pytest.mark.parametrize("name", ["Service()", "teams.billing"])
def test_a_manifest_comes_from_a_service_in_a_module_of_this_folder(
    waybill: Waybill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    module = f"outside_{abs(hash(name))}"
    source = MODULE.format(data=DATA) + "\nservice = Service()\n"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    made = waybill("services", "apply", f"{module}:{name.replace('Service()', 'service')}")
    assert (made.code, made.out.splitlines()[0]) == (0, "invoices 1 is new")
    assert sys.path == before


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("nowhere.json", "cannot be read"),
        ("nowhere:service", "No module named 'nowhere'"),
        ("json:nothing", "has no attribute 'nothing'"),
        ("json:dumps", "has no attribute 'manifest'"),
    ],
)
def test_a_source_that_cannot_be_read_is_the_callers_fault(
    waybill: Waybill, source: str, reason: str
) -> None:
    ran = waybill("services", "apply", source)
    assert ran.code == 2
    assert reason in ran.err


@pytest.mark.parametrize("text", ["{", "[]", '{"release": "1"}', ""])
def test_a_file_that_is_no_manifest_is_the_callers_fault(waybill: Waybill, tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    ran = waybill("services", "apply", path)
    assert ran.code == 2
    assert "is no manifest" in ran.err


def test_a_refusal_names_each_difference(waybill: Waybill, tmp_path: Path) -> None:
    assert waybill("services", "apply", stated(tmp_path, manifest())).code == 0
    narrower = DATA | {"required": ["order_id", "email"]}
    for options in ((), ("--dry-run",)):
        ran = waybill("services", "apply", stated(tmp_path, manifest("2", data=narrower)), *options)
        assert (ran.code, ran.out) == (4, "")
        assert "/handles/0: invoice.requested: version 1 cannot change so" in ran.err
        assert ".email: the field is now required" in ran.err
    wrong = waybill("services", "apply", stated(tmp_path, manifest(reads=["1"])))
    assert wrong.code == 4
    assert "/handles/0/reads/0" in wrong.err
    assert waybill("services", "show", "invoices", "--json").document["release"] == "1"


def test_waiting_in_vain_exits_with_1(waybill: Waybill, tmp_path: Path) -> None:
    ran = waybill("services", "apply", stated(tmp_path, manifest()), "--wait", "--timeout", "0")
    assert ran.code == 1
    assert "do the broker and the status service run?" in ran.err
    assert waybill("services", "show", "invoices", "--json").document["declared"] is False


def test_kinds_are_listed_and_shown_with_their_schema(waybill: Waybill, tmp_path: Path) -> None:
    waybill("services", "apply", stated(tmp_path, manifest()))
    listed = waybill("kinds", "ls", "--service", "invoices").out.splitlines()
    assert listed[1].split("  ")[0] == "invoice.requested"
    assert len(listed) == 2
    assert len(waybill("kinds", "ls", "--json").lines) == 6
    shown = waybill("kinds", "show", "invoice.requested")
    assert "sensitive  email" in shown.out
    assert json.loads(shown.out.partition("\ndata\n")[2]) == DATA
    assert waybill("kinds", "show", "invoice.requested", "--version", "1", "--json").document["data"] == DATA
    assert waybill("kinds", "show", "invoice.requested", "--version", "2").code == 4
    assert waybill("kinds", "show", "no.such").code == 4


def test_a_service_is_retired_when_it_has_nothing_left(gateway: Served, waybill: Waybill) -> None:
    task = gateway.post("/v1/emails", EMAIL)
    assert waybill("services", "retire", "email").code == 2, "nobody is there to ask"
    ran = waybill("services", "retire", "email", "--yes")
    assert ran.code == 4
    assert f"/v1/tasks/{task}: has no outcome yet" in ran.err
    gateway.happened(reported(LifecycleType.COMPLETED, task))
    done = waybill("services", "retire", "email", "--yes")
    assert (done.code, done.out.splitlines()[0]) == (0, "email is retired")
    assert waybill("services", "retire", "email", "--yes").code == 4
    assert "retired" in waybill("services", "show", "email").out
