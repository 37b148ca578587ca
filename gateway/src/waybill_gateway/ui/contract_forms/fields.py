"""The fields of a contract as a page asks for them: a line, a text, a choice, or JSON. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from waybill_contracts.events import reference_in
from waybill_contracts.privacy import MASK
from waybill_contracts.registry import Contract
from waybill_gateway.ui.frame import formats
from waybill_ledger.access import REDACTED

#: Begins the names of the fields in a form, beside those that are not of the data.
PREFIX: Final = "data."
#: Characters of a text above which it gets more than a line.
_LONG_TEXT: Final = 500
#: Characters of a value that a field shows.
MOST_SHOWN: Final = 64_000
#: Options above which a choice is a line to write in.
_MOST_OPTIONS: Final = 200
_TYPE_WORDS: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list, as JSON",
    "object": "object, as JSON",
    "any": "JSON, or text",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the data."""

    name: str
    #: `line`, `text`, `choice` or `json`.
    control: str
    #: Its type and limits, in words.
    words: str
    description: str
    is_required: bool
    #: Such as `sensitive`.
    marks: tuple[str, ...]
    #: Of a choice.
    options: tuple[str, ...]
    #: As the form shows it; empty: the field is absent.
    value: str = ""
    #: Whether it has a value that is not shown, and stays unless another is given.
    is_kept: bool = False
    faults: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name in the form."""
        return f"{PREFIX}{self.name}"


def fields_of(
    contract: Contract,
    values: Mapping[str, str] | None = None,
    faults: Mapping[str, Sequence[str]] | None = None,
    kept: frozenset[str] = frozenset(),
) -> list[Field]:
    """The fields of a contract, the required ones first.

    Args:
        contract: of the data.
        values: what the fields show, by their names.
        faults: what is wrong with them, by their names.
        kept: fields whose value is hidden, and stays.
    """
    values, faults = values or {}, faults or {}
    required = contract.schema.get("required", ())
    marks = contract.marks
    found = [
        Field(
            name=name,
            control=_control(shape, values.get(name, "")),
            words=_words(shape),
            description=str(stated.get("description", shape.get("description", ""))),
            is_required=name in required,
            marks=tuple(mark for mark, names in marks.items() if name in names and mark != "task_id"),
            options=_options(shape),
            value=values.get(name, ""),
            is_kept=name in kept,
            faults=tuple(faults.get(name, ())),
        )
        for name, stated, shape in shapes_of(contract)
    ]
    return sorted(found, key=lambda field: not field.is_required)


def shapes_of(contract: Contract) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """For each field its name, its schema, and that schema without references and null."""
    definitions = contract.schema.get("$defs", {})
    for name, stated in contract.schema.get("properties", {}).items():
        schema = stated if isinstance(stated, Mapping) else {}
        yield name, schema, _plain(schema, definitions)


def type_of(shape: Mapping[str, Any]) -> str:
    """The JSON type of a plain schema; `any`: it allows several."""
    stated = shape.get("type")
    if isinstance(stated, list):
        stated = next(iter(set(stated) - {"null"}), None) if len(set(stated) - {"null"}) == 1 else None
    if isinstance(stated, str) and stated in _TYPE_WORDS:
        return stated
    texts = shape.get("enum") or [shape.get("const")]
    return "string" if all(isinstance(each, str) for each in texts) else "any"


def is_hidden(value: Any) -> bool:
    """Whether a form does not show a value, nor sends it back: hidden, masked, too long or misleading."""
    if isinstance(value, str):
        is_shown = value != REDACTED and MASK not in value and len(value) <= MOST_SHOWN
        return not (is_shown and formats.is_exact(value))
    return isinstance(value, list | dict) and len(json.dumps(value)) > MOST_SHOWN


def shown(value: Any, shape: Mapping[str, Any]) -> str:
    """A value as its field shows it; empty: it is absent, null or hidden."""
    if value is None or is_hidden(value):
        return ""
    if isinstance(value, str) and type_of(shape) == "string":
        return value
    return formats.exact_json(value)


def _plain(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with its reference followed, and without the alternative null."""
    own = {name: value for name, value in schema.items() if name not in {"$ref", "anyOf", "oneOf"}}
    if (name := reference_in(schema)) is not None:
        return _plain({**definitions.get(name, {}), **own}, definitions)
    for keyword in ("anyOf", "oneOf"):
        alternatives = [each for each in schema.get(keyword, ()) if each.get("type") != "null"]
        if len(alternatives) == 1:
            return _plain({**own, **alternatives[0]}, definitions)
    return schema


def _control(shape: Mapping[str, Any], value: str) -> str:
    kind = type_of(shape)
    if _options(shape):
        return "choice"
    if kind in {"array", "object", "any"}:
        return "json"
    is_long = kind == "string" and shape.get("maxLength", 0) > _LONG_TEXT
    return "text" if is_long or "\n" in value else "line"


def _options(shape: Mapping[str, Any]) -> tuple[str, ...]:
    if type_of(shape) == "boolean":
        return ("true", "false")
    stated = shape.get("enum", [shape["const"]] if "const" in shape else [])
    usable = [shown(each, shape) for each in stated if each is not None]
    return tuple(usable) if len(usable) <= _MOST_OPTIONS else ()


def _words(shape: Mapping[str, Any]) -> str:
    kind = type_of(shape)
    if _options(shape) and kind != "boolean":
        return "one of the list"
    words = [_TYPE_WORDS[kind]]
    if shape.get("format") == "date-time":
        words = ["time, such as 2026-03-05T14:05:00Z"]
    elif "format" in shape:
        words.append(str(shape["format"]))
    for least, most, unit in (
        ("minLength", "maxLength", " characters"),
        ("minimum", "maximum", ""),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " fields"),
    ):
        if limits := _limits(shape.get(least), shape.get(most)):
            words.append(f"{limits}{unit}")
    if "exclusiveMinimum" in shape:
        words.append(f"above {shape['exclusiveMinimum']:,}")
    if "exclusiveMaximum" in shape:
        words.append(f"below {shape['exclusiveMaximum']:,}")
    if "pattern" in shape:
        words.append(f"matches {shape['pattern']}")
    return ", ".join(words)


def _limits(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f"{least:,} to {most:,}"
    if most is not None:
        return f"at most {most:,}"
    return f"at least {least:,}" if least else ""
