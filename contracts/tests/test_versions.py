import json
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest

from waybill_contracts.events import Event
from waybill_contracts.kinds.catalog import CATALOG
from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.versions.event_reader import NOTHING_OPENED, Fault, InvalidPayloadError, read_event
from waybill_contracts.versions.schemas import GOLDEN_FOLDER
from waybill_contracts.versions.upcasters import UPCASTERS, Upcasters

EXAMPLES = GOLDEN_FOLDER.parent / "examples"
VERSION = re.compile(r"(?P<kind>.+)\.v(?P<version>\d+)\.json")


def released() -> list[tuple[str, int]]:
    """Kind and version of each golden schema of a task event."""
    found = [VERSION.fullmatch(path.name) for path in GOLDEN_FOLDER.glob("*.json")]
    return sorted((m["kind"], int(m["version"])) for m in found if m is not None and m["kind"] in CATALOG)


class Moved(Event):
    """Version 1 had one field `name`, version 2 split it, version 3 demands a country."""

    KIND = "person.moved"
    VERSION: ClassVar[int] = 3

    first: str
    last: str
    country: str


def split(payload: dict[str, Any]) -> dict[str, Any]:
    first, last = payload.pop("name").split(" ")
    return payload | {"first": first, "last": last}


MOVED: Upcasters = {
    ("person.moved", 1): split,
    ("person.moved", 2): lambda payload: payload | {"country": "?"},
}


def faults(dataschema: str, body: bytes, upcasters: Upcasters = MOVED) -> list[Fault]:
    with pytest.raises(InvalidPayloadError) as caught:
        read_event(Moved, dataschema, body, opened=NOTHING_OPENED, upcasters=upcasters)
    return caught.value.faults


def test_each_current_version_is_released() -> None:
    assert {(kind, entry.event.VERSION) for kind, entry in CATALOG.items()} <= set(released())


@pytest.mark.parametrize(("kind", "version"), released())
def test_an_example_of_each_released_version_is_still_read(kind: str, version: int) -> None:
    example: Path = EXAMPLES / f"{kind}.v{version}.json"
    event = CATALOG[kind].event

    reading = read_event(event, f"urn:waybill:{kind}:v{version}", example.read_bytes(), opened=NOTHING_OPENED)

    assert reading.is_upcast == (version < event.VERSION)


@pytest.mark.parametrize(("kind", "version"), released())
def test_an_example_names_each_field_of_its_version(kind: str, version: int) -> None:
    # A field that no example has is a field that no upcaster is tried on. A mail has its words or a template.
    schema = json.loads((GOLDEN_FOLDER / f"{kind}.v{version}.json").read_text())
    example = json.loads((EXAMPLES / f"{kind}.v{version}.json").read_text())
    missing = schema["properties"].keys() - example.keys()
    assert missing <= ({"template", "params"} if kind == EmailRequested.KIND else set())


def test_every_upcaster_has_its_place_in_an_unbroken_row() -> None:
    wanted = {(kind, v) for kind, entry in CATALOG.items() for v in range(1, entry.event.VERSION)}
    assert set(UPCASTERS) == wanted


def test_an_old_version_climbs_every_step() -> None:
    reading = read_event(
        Moved, "urn:waybill:person.moved:v1", b'{"name": "Ada Byron"}', opened=NOTHING_OPENED, upcasters=MOVED
    )
    assert reading.event == Moved(first="Ada", last="Byron", country="?")
    assert reading.is_upcast


def test_the_current_version_is_read_as_it_is() -> None:
    body = b'{"first": "Ada", "last": "Byron", "country": "GB"}'
    assert not read_event(Moved, Moved.dataschema(), body, opened=NOTHING_OPENED, upcasters=MOVED).is_upcast


@pytest.mark.parametrize(
    ("dataschema", "body", "field", "words"),
    [
        ("urn:waybill:person.moved:v4", b"{}", "dataschema", "newer than the version"),
        ("urn:waybill:person.died:v1", b"{}", "dataschema", "not a version of person.moved"),
        ("urn:waybill:person.moved:v0", b"{}", "dataschema", "not a version of person.moved"),
        ("no urn", b"{}", "dataschema", "not a version of person.moved"),
        ("urn:waybill:person.moved:v1", b"{", "body", "Invalid JSON"),
        ("urn:waybill:person.moved:v1", b"[]", "body", "an object"),
        ("urn:waybill:person.moved:v1", b"{}", "body", "cannot be converted: KeyError"),
        ("urn:waybill:person.moved:v1", b'{"name": 7}', "body", "cannot be converted: AttributeError"),
        ("urn:waybill:person.moved:v2", b'{"first": "A"}', "last", "required"),
        ("urn:waybill:person.moved:v3", b'{"first": "A", "last": "B"}', "country", "required"),
    ],
)
def test_what_cannot_be_read_names_the_field(dataschema: str, body: bytes, field: str, words: str) -> None:
    [fault] = faults(dataschema, body)
    assert fault.field == field
    assert words in fault.message


def test_a_version_without_upcaster_is_no_longer_read() -> None:
    [fault] = faults("urn:waybill:person.moved:v1", b"{}", {})
    assert fault == Fault("dataschema", "version 1 is no longer supported")
