"""Whether a changed contract still reads everything that its earlier form allowed.

Messages wait in queues, in the outbox and as dead letters while processes are upgraded. So each reader of a
version of an event must accept everything that was ever written as this version. An optional new field and a
wider limit are compatible; a removed, renamed, narrowed or newly required field is not.

The input is JSON Schema as pydantic writes it (draft 2020-12, without conditionals).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

#: Limits that may only increase, and those that may only decrease.
_UPPER: Final = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
_LOWER: Final = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
#: Whether one pattern allows all that another allows is not decidable here, so any change counts.
_FIXED: Final = ("pattern", "format")


def breaking_changes(before: Schema, after: Schema) -> list[str]:
    """What `before` allowed and `after` may refuse, one line each; empty if they are compatible."""
    return list(_breaking_changes("", before, after, before.get("$defs", {}), after.get("$defs", {})))


def _breaking_changes(
    path: str, before: Schema, after: Schema, old_defs: Schema, new_defs: Schema
) -> Iterator[str]:
    before, after = _resolved(before, old_defs), _resolved(after, new_defs)
    olds, news = _alternatives(before), _alternatives(after)
    if len(olds) > 1 or len(news) > 1:
        for old in olds:
            # One new alternative must accept all of the old one; if none does, the nearest is reported.
            found = [list(_breaking_changes(path, old, new, old_defs, new_defs)) for new in news]
            yield from min(found, key=len)
        return
    where = path or "the message"
    yield from _narrower_values(where, before, after)
    yield from _narrower_fields(path, before, after, old_defs, new_defs)
    if isinstance(old_items := before.get("items"), Mapping) and isinstance(after.get("items"), Mapping):
        yield from _breaking_changes(f"{path}[]", old_items, after["items"], old_defs, new_defs)


def _narrower_values(where: str, before: Schema, after: Schema) -> Iterator[str]:
    if "type" in after and before.get("type") != after["type"]:
        is_wider = (before.get("type"), after["type"]) == ("integer", "number")
        if not is_wider:
            yield f"{where}: the type was {before.get('type', 'any')}, now {after['type']}"
    if (allowed := _values(after)) is not None:
        lost = None if (old := _values(before)) is None else [value for value in old if value not in allowed]
        if lost is None or lost:
            yield f"{where}: only {allowed} are allowed"
    for limit, sign in [*((limit, 1) for limit in _UPPER), *((limit, -1) for limit in _LOWER)]:
        if limit in after and (limit not in before or sign * after[limit] < sign * before[limit]):
            yield f"{where}: {limit} was {before.get(limit, 'not set')}, now {after[limit]}"
    for rule in _FIXED:
        if rule in after and before.get(rule) != after[rule] and not _all_match(before, after, rule):
            yield f"{where}: {rule} was {before.get(rule, 'not set')}, now {after[rule]}"


def _all_match(before: Schema, after: Schema, rule: str) -> bool:
    """Whether a pattern allows each value of the earlier enumeration."""
    listed = _values(before)
    return rule == "pattern" and listed is not None and all(re.search(after[rule], each) for each in listed)


def _narrower_fields(
    path: str, before: Schema, after: Schema, old_defs: Schema, new_defs: Schema
) -> Iterator[str]:
    old: Mapping[str, Schema] = before.get("properties", {})
    new: Mapping[str, Schema] = after.get("properties", {})
    others = after.get("additionalProperties", True)
    for name in old.keys() - new.keys() if others is False else ():
        yield f"{path}.{name}: the field was removed"
    for name in set(after.get("required", ())) - set(before.get("required", ())):
        yield f"{path}.{name}: the field is now required"
    if others is False and before.get("additionalProperties", True) is not False:
        yield f"{path or 'the message'}: unknown fields are now refused"
    for name in old.keys() & new.keys():
        yield from _breaking_changes(f"{path}.{name}", old[name], new[name], old_defs, new_defs)


def _resolved(schema: Schema, defs: Schema) -> Schema:
    while (reference := schema.get("$ref")) is not None:
        schema = defs[reference.rpartition("/")[2]]
    return schema


def _alternatives(schema: Schema) -> list[Schema]:
    return list(schema.get("anyOf") or schema.get("oneOf") or [schema])


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")
