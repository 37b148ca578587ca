"""Contracts: the schema of the data of one version of a kind, and what its marks say."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self

from waybill_contracts.events import MARKS, Event, Path, fields_marked, paths_marked, values_at
from waybill_contracts.registry.data_fault import DataFault

if TYPE_CHECKING:
    from waybill_contracts.registry.validator import Validator

#: Most faults that are listed for one document.
MAX_FAULTS: Final = 50
#: Longest subject of a task that is made of its data.
_MAX_ABOUT: Final = 200


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
    def _in_clear(self) -> frozenset[str]:
        return self.fields - self.sensitive

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
        if not self._files:  # as of most kinds
            return ()
        found = (value for path in self._files for value in values_at(data, path))
        keys = (value.get("key") if isinstance(value, dict) else value for value in found)
        return tuple(dict.fromkeys(key for key in keys if isinstance(key, str)))

    def about(self, data: Mapping[str, Any]) -> str:
        """Subject of the task of valid data, for people; empty if the contract gives none."""
        template = self.schema.get("about")
        if not isinstance(template, str):
            return ""
        shown = {name: data[name] for name in self._in_clear if name in data}
        return template.format_map(_Shown(shown))[:_MAX_ABOUT]

    def faults(self, data: Any) -> list[DataFault]:
        """What the contract does not allow in data, at most `MAX_FAULTS`; empty: the data is valid."""
        return list(islice(self._validator.faults(data), MAX_FAULTS))

    @cached_property
    def _validator(self) -> "Validator":
        # Only where data is checked: applications that submit tasks define contracts, and check none.
        from waybill_contracts.registry.validator import Validator  # noqa: PLC0415

        return Validator(self.schema)


class _Shown(dict[str, Any]):
    """Values for a subject: what is absent is left out."""

    def __missing__(self, name: str) -> str:
        return ""
