"""Whether a changed contract still allows everything that its earlier form allowed. Pure.

Messages wait in queues, in the outbox and as dead letters while processes are upgraded. So each reader of a
version of an event must accept everything that was ever written as this version. An optional new field and a
wider limit are compatible; a removed, renamed, narrowed or newly required field is not.

The input is JSON Schema 2020-12. What is not understood counts as a breaking change if it differs: a change
may be refused that would do no harm, but none that does harm is overlooked.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Schema = Mapping[str, Any]

#: Limits that may only increase, and those that may only decrease.
_UPPER: Final = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties", "maxContains")
_LOWER: Final = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties", "minContains")
#: Whether one pattern allows all that another allows is not decidable here, so any change counts.
_FIXED: Final = ("pattern", "format")
#: Compared below, each by a rule of its own.
_UNDERSTOOD: Final = frozenset(
    {*_UPPER, *_LOWER, *_FIXED, "type", "enum", "const", "properties", "required", "additionalProperties"}
    | {"items", "anyOf", "oneOf", "$defs"}
)
#: Say nothing about which values are allowed.
_ANNOTATIONS: Final = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"}
    | {"$schema", "contentEncoding", "contentMediaType"}
    | {"sensitive", "secret", "person", "file", "task_id", "about"}
)
#: Pairs of parts that are compared at most: alternatives are compared each with each.
MAX_COMPARED: Final = 20_000
#: Allow nothing.
_NOTHING: Final[Schema] = {"enum": ()}


def breaking_changes(before: Schema, after: Schema) -> list[str]:
    """What `before` allowed and `after` may refuse, one line each; empty if they are compatible."""
    if before == after:
        return []
    comparison = _Comparison(before.get("$defs", {}), after.get("$defs", {}))
    try:
        return list(dict.fromkeys(comparison.changes("", before, after)))
    except _TooIntricateError:
        return ["the schemas have too many alternatives to be compared"]


class _TooIntricateError(Exception):
    """More than `MAX_COMPARED` pairs of parts would have to be compared."""


@dataclass
class _Comparison:
    """A comparison of two schemas, each with its own definitions."""

    old_defs: Schema
    new_defs: Schema
    #: Pairs of definitions under comparison: a schema may contain itself.
    _open: set[tuple[str, str]] = field(default_factory=set)
    _compared: int = 0

    def changes(self, path: str, before: Any, after: Any) -> Iterator[str]:
        self._compared += 1
        if self._compared > MAX_COMPARED:
            raise _TooIntricateError
        pair = (_reference(before), _reference(after))
        if all(pair):
            if pair in self._open:
                return
            self._open.add(pair)
        yield from self._changes(path, _resolved(before, self.old_defs), _resolved(after, self.new_defs))
        self._open.discard(pair)

    def _changes(self, path: str, before: Schema, after: Schema) -> Iterator[str]:
        if not after.keys() - _ANNOTATIONS:
            return
        where = path or "the message"
        olds, news = _alternatives(before), _alternatives(after)
        if len(olds) > 1 or len(news) > 1:
            for old in olds:
                # One new alternative must accept all of the old one; if none does, the nearest is reported.
                found = [list(self.changes(path, old, new)) for new in news]
                yield from min(found, key=len)
            return
        yield from _narrower_values(where, before, after)
        yield from self._narrower_fields(path, before, after)
        if "items" in after:
            yield from self.changes(f"{path}[]", before.get("items", True), after["items"])
        for keyword in after.keys() - _UNDERSTOOD - _ANNOTATIONS:
            if before.get(keyword) != after[keyword]:
                yield f"{where}: {keyword} is new or has changed"

    def _narrower_fields(self, path: str, before: Schema, after: Schema) -> Iterator[str]:
        old: Mapping[str, Schema] = before.get("properties", {})
        new: Mapping[str, Schema] = after.get("properties", {})
        olds, others = before.get("additionalProperties", True), after.get("additionalProperties", True)
        for name in sorted(old.keys() - new.keys()):
            if others is False:
                yield f"{path}.{name}: the field was removed"
            else:
                yield from self.changes(f"{path}.{name}", old[name], others)
        for name in sorted(new.keys() - old.keys()) if olds is not False else ():
            yield from self.changes(f"{path}.{name}", olds, new[name])
        for name in sorted(set(after.get("required", ())) - set(before.get("required", ()))):
            yield f"{path}.{name}: the field is now required"
        if others is False and olds is not False:
            yield f"{path or 'the message'}: unknown fields are now refused"
        elif olds is not False:
            yield from self.changes(f"{path}.*", olds, others)
        for name in sorted(old.keys() & new.keys()):
            yield from self.changes(f"{path}.{name}", old[name], new[name])


def _narrower_values(where: str, before: Schema, after: Schema) -> Iterator[str]:
    if "type" in after and not _types(before) <= _types(after):
        yield f"{where}: the type was {_shown_type(before)}, now {_shown_type(after)}"
    if (allowed := _values(after)) is not None:
        lost = None if (old := _values(before)) is None else [value for value in old if value not in allowed]
        if lost is None or lost:
            yield f"{where}: only {list(allowed)} are allowed"
    for limit, sign in [*((limit, 1) for limit in _UPPER), *((limit, -1) for limit in _LOWER)]:
        if limit in after and (limit not in before or sign * after[limit] < sign * before[limit]):
            yield f"{where}: {limit} was {before.get(limit, 'not set')}, now {after[limit]}"
    for rule in _FIXED:
        if rule in after and before.get(rule) != after[rule] and not _all_match(before, after, rule):
            yield f"{where}: {rule} was {before.get(rule, 'not set')}, now {after[rule]}"


def _all_match(before: Schema, after: Schema, rule: str) -> bool:
    """Whether a pattern allows each value of the earlier enumeration."""
    listed = _values(before)
    return (
        rule == "pattern"
        and listed is not None
        and all(isinstance(each, str) and re.search(after[rule], each) for each in listed)
    )


def _types(schema: Schema) -> frozenset[str]:
    """Names of the types that are allowed; a number may be an integer."""
    stated = schema.get("type")
    if stated is None and (values := _values(schema)) is not None:
        return frozenset(map(_type_of, values))
    if stated is None:
        return frozenset({"any"})
    names = frozenset([stated] if isinstance(stated, str) else stated)
    return names | {"integer"} if "number" in names else names


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
    return "null" if value is None else names[type(value)]


def _shown_type(schema: Schema) -> str:
    stated = schema.get("type", "any")
    return stated if isinstance(stated, str) else " or ".join(stated)


def _reference(schema: Any) -> Any:
    return schema.get("$ref") if isinstance(schema, Mapping) else None


def _resolved(stated: Any, defs: Schema) -> Schema:
    if isinstance(stated, bool):
        return {} if stated else _NOTHING
    schema: Schema = stated
    while (reference := schema.get("$ref")) is not None:
        schema = _both(defs[reference.rpartition("/")[2]], _without(schema, "$ref"))
    return schema


def _both(one: Schema, other: Schema) -> Schema:
    """A schema that allows what two schemas allow."""
    if (one.keys() & other.keys()) - _ANNOTATIONS:
        # As a keyword that is not understood: only an equal pair is compatible.
        return {**other, "allOf": [one, *other.get("allOf", ())]}
    return {**one, **other}


def _alternatives(schema: Schema) -> list[Schema]:
    """The alternatives, each with what is stated beside them."""
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return [_both(each, _without(schema, keyword)) for each in schema[keyword]]
    return [schema]


def _without(schema: Schema, keyword: str) -> Schema:
    return {name: value for name, value in schema.items() if name != keyword}


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")
