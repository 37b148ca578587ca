"""Contracts: the schema of the data of one version of a kind, and what its marks say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import jsonschema_rs

from waybill_contracts.events import MARKS, Event, Path, fields_marked, paths_marked, values_at

#: Most faults that are listed for one document.
MAX_FAULTS: Final = 50
#: Stands for the value in the messages of the validator: a value may be private.
_VALUE: Final = "the value"
#: Longest subject of a task that is made of its data.
_MAX_ABOUT: Final = 200


@dataclass(frozen=True, slots=True)
class DataFault:
    """One violation of a contract by data, without values."""

    #: Names and indexes from the root of the data to the fault.
    path: tuple[str | int, ...]
    message: str

    @property
    def pointer(self) -> str:
        """The path as a JSON Pointer (RFC 6901)."""
        return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in self.path)


@dataclass(frozen=True)
class Contract:
    """A kind, a version, and the JSON Schema (2020-12) of its data.

    contract = Contract.of(InvoiceRequested)
    contract.faults({"order_id": 7})  # [DataFault(("order_id",), 'the value is not of type "string"'), …]
    """

    kind: str
    version: int
    schema: dict[str, Any]

    @classmethod
    def of(cls, event: type[Event]) -> Self:
        """The contract that an event class writes."""
        return cls(event.KIND, event.VERSION, event.model_json_schema())

    @property
    def dataschema(self) -> str:
        """The CloudEvents `dataschema` of messages with such data."""
        return f"urn:waybill:{self.kind}:v{self.version}"

    @cached_property
    def fields(self) -> frozenset[str]:
        """Names of the fields of the data."""
        return frozenset(self.schema.get("properties", ()))

    @property
    def marks(self) -> dict[str, frozenset[str]]:
        """Each mark, with the names of the fields that have it, or in which something has it."""
        return {mark: fields_marked(self.schema, mark) for mark in MARKS}

    @cached_property
    def sensitive(self) -> frozenset[str]:
        """Names of the fields that are sealed: they, or what is in them, are marked sensitive or secret."""
        return fields_marked(self.schema, "sensitive") | self.secret

    @cached_property
    def secret(self) -> frozenset[str]:
        """Names of the fields that must not outlive their use, and are never shown."""
        return fields_marked(self.schema, "secret")

    @cached_property
    def _person(self) -> tuple[Path, ...]:
        return paths_marked(self.schema, "person")

    @cached_property
    def _files(self) -> tuple[Path, ...]:
        return paths_marked(self.schema, "file")

    @cached_property
    def _task_id(self) -> tuple[Path, ...]:
        return paths_marked(self.schema, "task_id")

    @property
    def task_id_field(self) -> str | None:
        """Name of the field that has the id of the task where the sender gives none; None: there is none."""
        return self._task_id[0][0] if self._task_id else None

    @property
    def has_files(self) -> bool:
        """Whether the data may refer to stored files."""
        return bool(self._files)

    def completed(self, data: Mapping[str, Any], task_id: str) -> dict[str, Any]:
        """Data in which an absent field that is marked so has the id of the task."""
        name = self.task_id_field
        return {**data, name: task_id} if name is not None and data.get(name) is None else dict(data)

    def person_of(self, data: Mapping[str, Any]) -> str | None:
        """Mail address of the person that valid data is about; None: nobody."""
        found = (value for path in self._person for value in values_at(data, path))
        return next((value for value in found if isinstance(value, str)), None)

    def files_of(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        """Keys of the stored files that valid data refers to, each once."""
        found = (value for path in self._files for value in values_at(data, path))
        keys = (value.get("key") if isinstance(value, dict) else value for value in found)
        return tuple(dict.fromkeys(key for key in keys if isinstance(key, str)))

    def about(self, data: Mapping[str, Any]) -> str:
        """Subject of the task of valid data, for people; empty if the contract gives none."""
        template = self.schema.get("about")
        if not isinstance(template, str):
            return ""
        shown = {name: data[name] for name in self.fields - self.sensitive if name in data}
        return template.format_map(_Shown(shown))[:_MAX_ABOUT]

    def faults(self, data: Any) -> list[DataFault]:
        """What the contract does not allow in data, at most `MAX_FAULTS`; empty: the data is valid."""
        if self._validator.is_valid(data):
            return []
        faults = (fault for error in self._validator.iter_errors(data) for fault in _faults(error))
        return [fault for fault, _ in zip(faults, range(MAX_FAULTS), strict=False)]

    @cached_property
    def _validator(self) -> jsonschema_rs.Draft202012Validator:
        return validator_of(self.schema)


def validator_of(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """A compiled validator; its patterns match in linear time.

    Raises:
        jsonschema_rs.ValidationError: it is no JSON Schema, a reference leads nowhere, or a pattern cannot be
            matched in linear time.
    """
    return jsonschema_rs.Draft202012Validator(
        schema,
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
        mask=_VALUE,
        offline=True,
    )


class _Shown(dict[str, Any]):
    """Values for a subject: what is absent is left out."""

    def __missing__(self, name: str) -> str:
        return ""


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
