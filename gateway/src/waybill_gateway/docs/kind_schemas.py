"""Kinds in the OpenAPI document: a schema for the data of each, so that generated clients are typed. Pure."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from waybill_contracts.registry import Contract, Registry

_PREFIX: Final = "#/components/schemas/"
_LOCAL: Final = "#/$defs/"
#: Components that describe a task of any kind as it is posted; those of one kind have names that end so.
_POSTED: Final = {"PostTask": "Task", "BulkTask": "BulkTask"}
#: Keywords whose values are data, not schemas.
_DATA: Final = frozenset({"const", "enum", "default", "examples"})
#: Keywords whose values are schemas by names that may be those of keywords.
_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
_WORDS: Final = re.compile(r"[a-z0-9]+")

Document = dict[str, Any]


def kind_schemas(registry: Registry) -> dict[str, Document]:
    """Components of an OpenAPI 3.1 document: the data of each kind in use, by the names of its definitions.

    kind_schemas(registry)["InvoiceRequestedV1"]  # the schema of the newest contract of invoice.requested
    """
    return {name: schema for contract, own in _named(registry) for name, schema in _components(contract, own)}


def with_kinds(document: Document, registry: Registry) -> Document:
    """An OpenAPI document with the kinds of a registry; the document itself stays as it is.

    Where it describes a task of any kind as it is posted, that becomes one alternative for each kind,
    distinguished by `kind`: data of the newest version, which is the one that clients are to send.
    """
    schemas: dict[str, Document] = {**document["components"]["schemas"], **kind_schemas(registry)}
    for posted, suffix in _POSTED.items():
        if posted in schemas:
            schemas |= _alternatives(posted, suffix, schemas[posted], registry)
    return {**document, "components": {**document["components"], "schemas": schemas}}


def _alternatives(posted: str, suffix: str, general: Document, registry: Registry) -> dict[str, Document]:
    """A task of any kind as the choice between those of each kind, and each of them."""
    tasks = {
        contract.kind: (f"{own}{suffix}", _task_of(general, contract, own, suffix))
        for contract, own in _named(registry)
    }
    choice: Document = {
        **{word: general[word] for word in ("title", "description", "examples") if word in general},
        "oneOf": [{"$ref": _PREFIX + name} for name, _ in tasks.values()],
        "discriminator": {
            "propertyName": "kind",
            "mapping": {kind: _PREFIX + name for kind, (name, _) in tasks.items()},
        },
    }
    return dict([(posted, choice), *tasks.values()])


def _named(registry: Registry) -> list[tuple[Contract, str]]:
    """The newest contract of each kind in use, with the name of its component."""
    contracts = [kind.current for _, kind in sorted(registry.kinds.items()) if not kind.is_retired]
    plain = list(map(_class_name, contracts))
    often = Counter(plain)
    return [
        (contract, name if often[name] == 1 else f"{name}_{_digest(contract.kind)}")
        for contract, name in zip(contracts, plain, strict=True)
    ]


def _class_name(contract: Contract) -> str:
    return "".join(word.capitalize() for word in _WORDS.findall(contract.kind)) + f"V{contract.version}"


def _digest(kind: str) -> str:
    """Tells kinds apart whose words are the same: `a.b_c` and `a.b.c`."""
    return hashlib.sha256(kind.encode()).hexdigest()[:8]


def _components(contract: Contract, own: str) -> Iterator[tuple[str, Document]]:
    schema = {word: value for word, value in contract.schema.items() if word not in {"$defs", "$schema"}}
    yield own, {"description": f"Data of {contract.kind}, version {contract.version}.", **_moved(schema, own)}
    for name, definition in contract.schema.get("$defs", {}).items():
        yield f"{own}_{name}", _moved(definition, own)


def _moved(schema: Any, own: str) -> Any:
    """A schema whose references lead to components."""
    if isinstance(schema, list):
        return [_moved(each, own) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    moved: Document = {}
    for word, value in schema.items():
        if word == "$ref" and isinstance(value, str) and value.startswith(_LOCAL):
            moved[word] = f"{_PREFIX}{own}_{value.removeprefix(_LOCAL)}"
        elif word in _NAMED and isinstance(value, Mapping):
            moved[word] = {name: _moved(each, own) for name, each in value.items()}
        else:
            moved[word] = value if word in _DATA else _moved(value, own)
    return moved


def _task_of(general: Document, contract: Contract, own: str, suffix: str) -> Document:
    required = dict.fromkeys((*general.get("required", ()), "kind", "data"))
    return {
        "title": f"{own}{suffix}",
        "description": f"A task of the kind {contract.kind}.",
        "type": "object",
        "additionalProperties": general.get("additionalProperties", True),
        "properties": {
            **general["properties"],
            "kind": {"type": "string", "const": contract.kind},
            "version": {"anyOf": [{"type": "integer", "const": contract.version}, {"type": "null"}]},
            "data": {"$ref": _PREFIX + own},
        },
        "required": list(required),
    }
