"""What a schema must be to be registered: bounded, self-contained, matched in linear time. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from string import Formatter
from typing import Any, Final

from waybill_contracts.events import EACH, MARKS, fields_marked, paths_marked, reference_in

MAX_SCHEMA_BYTES: Final = 64 * 1024
MAX_SCHEMA_DEPTH: Final = 32
MAX_FIELDS: Final = 500
#: Parts of a schema once its references are followed: what reads a schema visits each of them.
MAX_PARTS: Final = 10_000
MAX_ABOUT_LENGTH: Final = 500
#: Without characters that a reference would have to escape: each is the name of its definition.
_LOCAL: Final = re.compile(r"#/\$defs/[A-Za-z0-9_.-]+")
#: Keywords whose schemas are about the same value: a reference that leads back over them alone has no end.
_SAME_VALUE: Final = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
#: Keywords under which no mark has an effect; and those under which only `sensitive` and `secret` have one.
_UNMARKED: Final = ("not", "if", "then", "else", "dependentSchemas", "propertyNames")
_SEALED_ONLY: Final = ("patternProperties", "contains", "unevaluatedProperties", "unevaluatedItems")
#: Of a pattern: what is taken literally, and what begins a look-around.
_LITERAL: Final = re.compile(r"\\.|\[\^?\]?(?:\\.?|[^\]\\])*\]?", re.DOTALL)
_LOOK_AROUND: Final = re.compile(r"\(\?<?[=!]")
#: Keywords that make what a schema means depend on something else.
_REFUSED: Final = ("$dynamicRef", "$dynamicAnchor", "$anchor", "$id", "$recursiveRef", "$vocabulary")


def schema_faults(schema: dict[str, Any], *, compiled: bool = True) -> list[str]:
    """Why a schema cannot be registered, one line each; empty: it can.

    Args:
        schema: the schema.
        compiled: whether it is also compiled, which finds all that makes it no JSON Schema. What pydantic
            writes is one, but for a pattern that is given as it is.
    """
    text = json.dumps(schema)
    if len(text.encode()) > MAX_SCHEMA_BYTES:
        return [f"the schema has more than {MAX_SCHEMA_BYTES:,} bytes"]
    if _is_deeper(schema, MAX_SCHEMA_DEPTH):
        return [f"the schema is nested more than {MAX_SCHEMA_DEPTH} levels deep"]
    faults = [*_shape_faults(schema), *_keyword_faults(schema, "", frozenset(MARKS))]
    if not faults and compiled:
        # Applications that submit tasks define contracts, and compile none.
        from waybill_contracts.registry.validator import compile_fault  # noqa: PLC0415

        faults += filter(None, [compile_fault(schema)])
    if not faults:
        faults += _reference_faults(schema)
    return faults or [*_mark_faults(schema), *_about_faults(schema)]


def _shape_faults(schema: Mapping[str, Any]) -> Iterator[str]:
    if schema.get("type") != "object":
        yield "the data must be an object: type must be object"
    properties = schema.get("properties", {})
    if isinstance(properties, Mapping) and len(properties) > MAX_FIELDS:
        yield f"the data has more than {MAX_FIELDS} fields"
    dialect = schema.get("$schema", "https://json-schema.org/draft/2020-12/schema")
    if dialect != "https://json-schema.org/draft/2020-12/schema":
        yield "$schema must be that of JSON Schema 2020-12, or be left out"


def _keyword_faults(schema: Any, where: str, marks: frozenset[str]) -> Iterator[str]:
    """Faults of keywords; `marks` are those that have an effect at this place."""
    if isinstance(schema, list):
        for number, each in enumerate(schema):
            yield from _keyword_faults(each, f"{where}/{number}", marks)
    if not isinstance(schema, Mapping):
        return
    is_field = where.endswith(("/properties", "/$defs", "/patternProperties"))
    for name, value in schema.items():
        if is_field:
            yield from _keyword_faults(value, f"{where}/{name}", marks)
            continue
        yield from _own_faults(name, value, f"{where}/{name}", marks)
        if name not in {"const", "enum", "default", "examples"}:
            yield from _keyword_faults(value, f"{where}/{name}", marks - _without_effect(name))


def _own_faults(keyword: str, value: Any, where: str, marks: frozenset[str]) -> Iterator[str]:
    if keyword in _REFUSED:
        yield f"{where}: this keyword is not supported"
    if keyword == "$ref" and not (isinstance(value, str) and _LOCAL.fullmatch(value)):
        yield f"{where}: a reference must lead to #/$defs/NAME in the same schema"
    if keyword == "pattern" and isinstance(value, str) and _LOOK_AROUND.search(_LITERAL.sub("", value)):
        yield f"{where}: the pattern is not a regular expression that is matched in linear time: look-around"
    if keyword in MARKS and not isinstance(value, bool):
        yield f"{where}: the mark must be true or false"
    elif keyword in MARKS and value and keyword not in marks:
        yield f"{where}: the mark has no effect here: mark the field under properties"


def _without_effect(keyword: str) -> frozenset[str]:
    """Marks that have no effect on what is under a keyword."""
    if keyword in _UNMARKED:
        return frozenset(MARKS)
    return frozenset(MARKS) - {"sensitive", "secret"} if keyword in _SEALED_ONLY else frozenset()


def _reference_faults(schema: Mapping[str, Any]) -> Iterator[str]:
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    for name, definition in definitions.items():
        if name in _reached(definition, definitions):
            yield f"/$defs/{name}: the definition leads back to itself for one and the same value"
            return
    if sum(1 for _ in islice(_parts(schema, definitions, frozenset()), MAX_PARTS + 1)) > MAX_PARTS:
        yield f"the schema has more than {MAX_PARTS:,} parts once its references are followed"


def _reached(schema: Any, definitions: Mapping[str, Any]) -> set[str]:
    """Names of the definitions that a schema applies to the value itself."""
    reached: set[str] = set()
    pending = [schema]
    while pending:
        each = pending.pop()
        if not isinstance(each, Mapping):
            continue
        for keyword in _SAME_VALUE:
            within = each.get(keyword, ())
            pending += within if isinstance(within, list) else [within]
        pending += each.get("dependentSchemas", {}).values()
        if (name := reference_in(each)) is not None and name not in reached:
            reached.add(name)
            pending.append(definitions.get(name))
    return reached


def _parts(schema: Any, definitions: Mapping[str, Any], within: frozenset[str]) -> Iterator[None]:
    yield None
    if isinstance(schema, list):
        for each in schema:
            yield from _parts(each, definitions, within)
    if not isinstance(schema, Mapping):
        return
    for keyword, value in schema.items():
        if keyword != "$defs":
            yield from _parts(value, definitions, within)
    if (name := reference_in(schema)) is not None and name not in within:
        yield from _parts(definitions.get(name), definitions, within | {name})


def _mark_faults(schema: Mapping[str, Any]) -> Iterator[str]:
    for path in paths_marked(schema, "task_id"):
        if len(path) != 1 or path[0] in fields_marked(schema, "sensitive"):
            yield f"{'.'.join(path)}: task_id marks a field of the data itself that is not sensitive"
    people = paths_marked(schema, "person")
    if len(people) > 1:
        yield f"person marks one field, not {', '.join('.'.join(path) for path in people)}"
    for path in people:
        if EACH in path:
            yield f"{'.'.join(path)}: person marks one mail address, not those of a list"
        elif path[0] not in fields_marked(schema, "sensitive") | fields_marked(schema, "secret"):
            yield f"{'.'.join(path)}: the field with a person's mail address must be marked sensitive too"


def _about_faults(schema: Mapping[str, Any]) -> Iterator[str]:
    about = schema.get("about")
    if about is None:
        return
    if not isinstance(about, str) or len(about) > MAX_ABOUT_LENGTH:
        yield f"about must be a text of at most {MAX_ABOUT_LENGTH} characters"
        return
    hidden = fields_marked(schema, "sensitive") | fields_marked(schema, "secret")
    try:
        parts = list(Formatter().parse(about))
    except ValueError as error:
        yield f"about: {error}"
        return
    for _, name, specification, conversion in parts:
        if name is None:
            continue
        if specification or conversion or name not in schema.get("properties", {}):
            yield f"about: {{{name}}} must be the name of a field, without a format"
        elif name in hidden:
            yield f"about: {{{name}}} is sensitive, and subjects are shown to everybody who may read tasks"


def _is_deeper(value: Any, levels: int) -> bool:
    if levels < 0:
        return True
    if isinstance(value, Mapping):
        return any(_is_deeper(each, levels - 1) for each in value.values())
    return isinstance(value, list) and any(_is_deeper(each, levels - 1) for each in value)
