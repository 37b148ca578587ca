"""Checks data by a JSON Schema, with a compiled validator."""

from collections.abc import Iterator
from typing import Any, Final

import jsonschema_rs

from waybill_contracts.registry.data_fault import DataFault

#: Stands for the value in the messages of the validator: a value may be private.
_VALUE: Final = "the value"


class Validator:
    """A compiled schema; its patterns match in linear time.

    Raises:
        jsonschema_rs.ValidationError: it is no JSON Schema, a reference leads nowhere, or a pattern cannot be
            matched in linear time.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self._compiled = jsonschema_rs.Draft202012Validator(
            schema,
            validate_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            mask=_VALUE,
            offline=True,
        )

    def faults(self, data: Any) -> Iterator[DataFault]:
        """What the schema does not allow in data."""
        if not self._compiled.is_valid(data):
            for error in self._compiled.iter_errors(data):
                yield from _faults(error)


def compile_fault(schema: dict[str, Any]) -> str | None:
    """Why a schema cannot be compiled; None: it can."""
    try:
        Validator(schema)
    except jsonschema_rs.ValidationError as error:
        where = "".join(f"/{part}" for part in error.instance_path)
        if where.endswith("/pattern"):
            return (
                f"{where}: the pattern is not a regular expression that is matched in linear time "
                "(look-around and back-references are not supported), or it is too large"
            )
        return f"{where or 'the schema'}: is not JSON Schema 2020-12: {error.message:.200}"
    return None


def _faults(error: Any) -> Iterator[DataFault]:
    """The faults of an error; of alternatives those of the one that the data comes nearest to."""
    kind = error.kind
    context = getattr(kind, "context", None)
    # An optional field is `T or null` in a schema of pydantic: what is wrong with T says more.
    branches = [branch for branch in context or () if not _is_null_expected(branch, error)]
    if branches and (nearest := min(branches, key=len)):
        for nested in nearest:
            yield from _faults(nested)
        return
    path = tuple(error.instance_path)
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        yield DataFault((*path, kind.property), "is required")
    elif isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        yield from (DataFault((*path, name), "is not a field of this contract") for name in kind.unexpected)
    else:
        yield DataFault(path, error.message)


def _is_null_expected(branch: list[Any], error: Any) -> bool:
    """Whether an alternative allows nothing but null for the value itself."""
    return (
        len(branch) == 1
        and branch[0].instance_path == error.instance_path
        and branch[0].message.endswith('is not of type "null"')
    )
