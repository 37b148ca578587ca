"""Marks in a JSON Schema: which fields of the data carry them. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

#: From the root of data to a value; `EACH` stands for every item of an array, and every value of a map.
Path = tuple[str, ...]
EACH: Final = "*"
#: Marks that a schema says yes to, or nothing.
MARKS: Final = ("sensitive", "secret", "person", "file", "task_id")
#: Keywords whose schemas are about the same value, and about values in it.
_SAME: Final = ("anyOf", "oneOf", "allOf")
_WITHIN: Final = ("items", "additionalProperties", "contains", "unevaluatedProperties", "unevaluatedItems")

Schema = Mapping[str, Any]


def fields_marked(schema: Schema, mark: str) -> frozenset[str]:
    """Names of the fields that are marked, or in which something is marked."""
    defs = schema.get("$defs", {})
    return frozenset(
        name
        for name, field in schema.get("properties", {}).items()
        if _is_marked(field, mark, defs, frozenset())
    )


def paths_marked(schema: Schema, mark: str) -> tuple[Path, ...]:
    """Where values with the mark are, in the order of the schema."""
    return tuple(dict.fromkeys(_paths(schema, mark, schema.get("$defs", {}), (), frozenset())))


def values_at(data: Any, path: Path) -> Iterator[Any]:
    """The values of data at a path; none where it leads nowhere."""
    if not path:
        yield data
    elif path[0] == EACH and isinstance(data, list | tuple | Mapping):
        for each in data.values() if isinstance(data, Mapping) else data:
            yield from values_at(each, path[1:])
    elif isinstance(data, Mapping) and path[0] in data:
        yield from values_at(data[path[0]], path[1:])


def _is_marked(schema: Any, mark: str, defs: Schema, seen: frozenset[str]) -> bool:
    if not isinstance(schema, Mapping):
        return False
    if schema.get(mark) is True:
        return True
    within: list[Any] = [schema[keyword] for keyword in _WITHIN if keyword in schema]
    within += schema.get("properties", {}).values()
    within += schema.get("patternProperties", {}).values()
    within += schema.get("prefixItems", ())
    within += (each for keyword in _SAME for each in schema.get(keyword, ()))
    if (name := reference_in(schema)) is not None and name not in seen:
        within.append(defs.get(name))
        seen |= {name}
    return any(_is_marked(each, mark, defs, seen) for each in within)


def _paths(schema: Any, mark: str, defs: Schema, path: Path, seen: frozenset[str]) -> Iterator[Path]:
    if not isinstance(schema, Mapping):
        return
    if schema.get(mark) is True:
        yield path
    if (name := reference_in(schema)) is not None and name not in seen:
        yield from _paths(defs.get(name), mark, defs, path, seen | {name})
    for name, field in schema.get("properties", {}).items():
        yield from _paths(field, mark, defs, (*path, name), seen)
    for within in (schema.get("items"), schema.get("additionalProperties"), *schema.get("prefixItems", ())):
        yield from _paths(within, mark, defs, (*path, EACH), seen)
    for keyword in _SAME:
        for each in schema.get(keyword, ()):
            yield from _paths(each, mark, defs, path, seen)


def reference_in(schema: Schema) -> str | None:
    """Name of the definition that a schema refers to; None: it refers to none."""
    reference = schema.get("$ref")
    return reference.removeprefix("#/$defs/") if isinstance(reference, str) else None
