"""What a registry becomes with a manifest, and why one is refused."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from waybill_contracts.events import Event, Sensitive
from waybill_contracts.registry import (
    Contract,
    HandledKind,
    Manifest,
    Registry,
    Use,
    apply,
    built_in_registry,
    declared,
    registry_of,
    retire,
)


def schema(**fields: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {"order_id": {"type": "string", "maxLength": 20}} | fields,
        "required": ["order_id"],
    }


def manifest(
    service: str = "invoices",
    *,
    release: str = "1",
    version: int = 1,
    reads: tuple[int, ...] = (),
    **data: Any,
) -> Manifest:
    handled = HandledKind(
        kind="invoice.requested", version=version, reads=reads or (version,), data=data or schema()
    )
    return Manifest(service=service, release=release, handles=(handled,))


def test_a_new_service_has_a_route_for_each_of_its_kinds() -> None:
    application = apply(built_in_registry(), manifest())
    assert application.refusals == ()
    kind = application.registry.kind("invoice.requested")
    assert (kind.owner, kind.services, kind.route.routing_key) == (
        "invoices",
        ("invoices",),
        "invoice.requested",
    )
    assert not kind.route.is_declared
    assert application.registry.revision == built_in_registry().revision + 1


def test_applying_the_same_manifest_again_changes_nothing() -> None:
    registry = registry_of(manifest())
    again = apply(registry, manifest())
    assert (again.changes, again.registry) == ((), registry)


def test_a_second_service_gets_a_route_of_its_own_key_once_that_is_declared() -> None:
    registry = apply(registry_of(manifest()), manifest("archive")).registry
    kind = registry.kind("invoice.requested")
    assert kind.services == ("invoices",)
    assert declared(registry).kind("invoice.requested").services == ("archive", "invoices")
    assert declared(registry).kind("invoice.requested").route.routing_key == "invoice.requested#2"
    assert registry.routes["invoice.requested"].services == ("invoices",)


def test_a_service_that_no_longer_handles_a_kind_leaves_its_route() -> None:
    registry = registry_of(manifest(), manifest("archive"))
    empty = Manifest(service="archive", release="2", handles=())
    after = declared(apply(registry, empty).registry)
    assert after.kind("invoice.requested").services == ("invoices",)


def test_a_retired_kind_keeps_its_contracts_and_has_no_services() -> None:
    after = retire(registry_of(manifest()), "invoices").registry
    kind = after.kind("invoice.requested")
    assert kind.is_retired
    assert kind.services == ()
    assert kind.contracts
    assert after.kinds_of("invoices") == ()
    assert after.work_services == ("invoices",)
    with pytest.raises(LookupError):
        retire(after, "invoices")
    again = declared(apply(after, manifest(release="2")).registry)
    assert again.kind("invoice.requested").services == ("invoices",)


def test_a_widened_contract_replaces_its_version_and_a_narrowed_one_is_refused() -> None:
    registry = registry_of(manifest())
    wider = apply(registry, manifest(release="2", **schema(note={"type": "string"})))
    assert wider.refusals == ()
    assert "note" in wider.registry.kind("invoice.requested").current.fields
    (refusal,) = apply(wider.registry, manifest(release="3")).refusals
    assert ".note: the field was removed" in refusal
    newer = apply(wider.registry, manifest(release="3", version=2))
    assert newer.refusals == ()
    assert sorted(newer.registry.kind("invoice.requested").contracts) == [1, 2]
    (refusal,) = apply(newer.registry, manifest(release="4", **schema(note={"type": "string"}))).refusals
    assert "cannot go back to 1" in refusal


def test_what_is_still_in_use_must_be_read() -> None:
    registry = registry_of(manifest())
    uses = [Use("invoice.requested", 1, "3 open tasks")]
    (refusal,) = apply(registry, manifest(release="2", version=2), uses).refusals
    assert "3 open tasks of version 1" in refusal
    assert apply(registry, manifest(release="2", version=2, reads=(1, 2)), uses).refusals == ()
    assert apply(registry, Manifest(service="invoices", release="2", handles=()), uses).refusals


def test_only_its_owner_changes_a_contract() -> None:
    registry = registry_of(manifest())
    assert apply(registry, manifest("archive", version=2)).refusals
    narrower = manifest(
        "archive", **(schema() | {"properties": {"order_id": {"type": "string", "maxLength": 5}}})
    )
    (refusal,) = apply(registry, narrower).refusals
    assert "belongs to invoices" in refusal
    wider = manifest("archive", **schema(note={"type": "string"}))
    application = apply(registry, wider)
    assert application.refusals == ()
    assert application.contracts == ()
    assert "note" not in application.registry.kind("invoice.requested").current.fields


def test_a_version_that_another_service_does_not_read_yet_is_told() -> None:
    registry = registry_of(manifest(), manifest("archive"))
    newer = apply(registry, manifest(release="2", version=2, reads=(1, 2)))
    assert newer.refusals == ()
    assert "archive does not read version 2 yet" in newer.notes[0]


def test_a_contract_that_is_wider_than_what_another_service_reads_is_told() -> None:
    registry = registry_of(manifest(), manifest("archive"))
    wider = apply(registry, manifest(release="2", **schema(note={"type": "string"})))
    assert wider.refusals == ()
    (note,) = wider.notes
    assert note.startswith("invoice.requested: archive may refuse what version 1 now allows (.note")


@pytest.mark.parametrize("name", ["gateway", "status", "waybill"])
def test_names_of_our_own_are_refused(name: str) -> None:
    assert "Waybill's own" in apply(Registry(), manifest(name)).refusals[0]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"type": "array"}, "type must be object"),
        (schema(a={"type": "string", "pattern": "(?=a)b"}), "linear time"),
        (schema(a={"type": "string", "pattern": "(a|"}), "regular expression"),
        (schema(a={"type": "strange"}), "not JSON Schema"),
        (schema(a={"$ref": "https://example.com/schema"}), "a reference must lead to"),
        (schema(a={"$ref": "#/$defs/Nothing"}), "does not exist"),
        (schema(a={"type": "string", "sensitive": "yes"}), "true or false"),
        (schema(a={"type": "string", "person": True}), "must be marked sensitive too"),
        (schema() | {"then": {"properties": {"a": {"sensitive": True}}}}, "has no effect here"),
        (schema(a={"not": {"secret": True}}), "has no effect here"),
        (schema(a={"patternProperties": {"^x": {"file": True}}}), "has no effect here"),
        (schema() | {"about": "{nothing}"}, "name of a field"),
        (schema(a={"type": "string", "sensitive": True}) | {"about": "{a}"}, "is sensitive"),
        (schema() | {"about": "{order_id:>9}"}, "without a format"),
        (schema(a={"description": "x" * 70_000}), "more than 65,536 bytes"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(broken: dict[str, Any], told: str) -> None:
    (refusal, *_) = apply(Registry(), manifest(**broken)).refusals
    assert told in refusal


def test_a_mark_is_taken_wherever_it_has_an_effect() -> None:
    fields = {
        "not": {"type": "string", "sensitive": True},
        "map": {"type": "object", "patternProperties": {"^x": {"sensitive": True}}},
        "else": {"anyOf": [{"type": "string", "file": True}, {"type": "null"}]},
        "if": {"type": "array", "items": {"type": "string", "file": True}},
    }
    assert apply(Registry(), manifest(**schema(**fields))).refusals == ()


def test_a_schema_is_bounded_in_depth() -> None:
    nested: dict[str, Any] = {"type": "string"}
    for _ in range(40):
        nested = {"type": "object", "properties": {"a": nested}}
    assert "levels deep" in apply(Registry(), manifest(**schema(a=nested))).refusals[0]


def test_a_manifest_is_the_same_text_for_the_same_content() -> None:
    one = manifest()
    assert Manifest.model_validate_json(one.text()) == one
    assert one.text() == manifest().text()
    assert one.digest() != manifest(release="2").digest()


def chained(levels: int) -> dict[str, Any]:
    """A small schema that doubles with each level once its references are followed."""
    definitions: dict[str, Any] = {
        f"L{level}": {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/L{level + 1}"} for name in ("left", "right")},
        }
        for level in range(levels)
    }
    definitions[f"L{levels}"] = {"type": "string"}
    return schema(a={"$ref": "#/$defs/L0"}) | {"$defs": definitions}


def test_a_schema_may_contain_itself_but_only_in_parts_of_the_value() -> None:
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
    }
    whole = schema(a={"$ref": "#/$defs/Tree"}) | {"$defs": {"Tree": tree}}
    registry = registry_of(manifest(**whole))
    assert apply(registry, manifest(release="2", **whole)).refusals == ()
    endless = {
        "One": {"anyOf": [{"$ref": "#/$defs/Other"}, {"type": "null"}]},
        "Other": {"$ref": "#/$defs/One"},
    }
    (refusal,) = apply(
        Registry(), manifest(**schema(a={"$ref": "#/$defs/One"}) | {"$defs": endless})
    ).refusals
    assert "leads back to itself" in refusal


def test_a_schema_that_grows_with_its_references_is_refused_before_anything_walks_it() -> None:
    assert apply(Registry(), manifest(**chained(8))).refusals == ()
    (refusal,) = apply(Registry(), manifest(**chained(31))).refusals
    assert "once its references are followed" in refusal


def test_what_cannot_be_compared_in_bounded_time_counts_as_a_breaking_change() -> None:
    def many(leaf: str) -> dict[str, Any]:
        definitions: dict[str, Any] = {
            f"L{level}": {
                "anyOf": [
                    {"type": "object", "properties": {name: {"$ref": f"#/$defs/L{level + 1}"}}}
                    for name in ("one", "other")
                ]
            }
            for level in range(9)
        }
        definitions["L9"] = {"type": leaf}
        return schema(a={"$ref": "#/$defs/L0"}) | {"$defs": definitions}

    registry = registry_of(manifest(**many("string")))
    assert apply(registry, manifest(release="2", **many("string"))).refusals == ()
    (refusal,) = apply(registry, manifest(release="2", **many("integer"))).refusals
    assert "too many alternatives" in refusal


def test_a_broken_schema_of_a_known_kind_is_refused_for_what_it_is() -> None:
    registry = registry_of(manifest())
    (refusal,) = apply(registry, manifest(release="2", type="object", properties=5)).refusals
    assert "not JSON Schema" in refusal


def test_a_mark_is_not_lost_within_a_version() -> None:
    marked = schema(code={"type": "string", "secret": True}, name={"type": "string", "sensitive": True})
    plain = schema(code={"type": "string"}, name={"type": "string"})
    registry = registry_of(manifest(**marked))
    refusals = apply(registry, manifest(release="2", **plain)).refusals
    assert [told.rpartition("(")[2] for told in refusals] == [
        ".code: the mark secret was removed)",
        ".code: the mark sensitive was removed)",
        ".name: the mark sensitive was removed)",
    ]
    after = apply(registry, manifest(release="2", version=2, reads=(1, 2), **plain)).registry
    assert after.kind("invoice.requested").sensitive == {"code", "name"}


class _Address(BaseModel):
    street: Annotated[str, Sensitive]


class _Delivered(Event, kind="parcel.delivered"):
    """What is sensitive in a part makes the whole field so."""

    number: str
    address: _Address
    others: tuple[_Address, ...] = ()


def test_a_mark_in_a_part_of_a_field_is_seen_by_the_event_as_by_its_contract() -> None:
    assert _Delivered.sensitive_fields() == Contract.of(_Delivered).sensitive == {"address", "others"}
    assert _Delivered.is_sensitive()
    assert not _Delivered.holds_secrets()
