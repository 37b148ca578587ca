"""Manifests: what a service states of itself when it is registered."""

import hashlib
import json
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from waybill_contracts.registry.contract import Contract

MAX_KIND_LENGTH: Final = 64
MAX_SERVICE_LENGTH: Final = 48
#: Kinds of one service.
MAX_KINDS: Final = 200
KindName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*([.-][a-z0-9_]+)+$", max_length=MAX_KIND_LENGTH)
]
ServiceName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=MAX_SERVICE_LENGTH)
]
Version = Annotated[int, Field(ge=1, le=999_999)]
#: Where the metrics of a service's replicas are scraped.
Address = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+:[0-9]{1,5}$", max_length=260)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Policy(_Part):
    """How attempts of a kind are made, for people who read the registry; the service itself applies it."""

    attempts: Annotated[int, Field(ge=1)] | None = None
    soft_limit_seconds: Annotated[float, Field(gt=0)] | None = None
    hard_limit_seconds: Annotated[float, Field(gt=0)] | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None


class HandledKind(_Part):
    """A kind that a service handles."""

    kind: KindName
    #: Version of the contract, which is the newest that the service reads.
    version: Version = 1
    #: Versions that the service reads; the newest is `version`.
    reads: tuple[Version, ...]
    data: dict[str, Any] = Field(description="JSON Schema 2020-12 of the data, with marks.")
    policy: Policy = Policy()

    @property
    def contract(self) -> Contract:
        """The contract that the service brings."""
        return Contract(self.kind, self.version, self.data)

    @model_validator(mode="after")
    def _reads_its_own_version(self) -> Self:
        if self.version not in self.reads or max(self.reads) != self.version:
            raise ValueError("reads must contain version, and nothing newer")
        return self


class Manifest(_Part):
    """What a service states of itself.

    Manifest.model_validate_json(Path("invoices.json").read_bytes())
    """

    #: Version of this format.
    manifest: Literal[1] = 1
    service: ServiceName
    release: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,64}$")]
    handles: Annotated[tuple[HandledKind, ...], Field(max_length=MAX_KINDS)]
    emits: Annotated[tuple[KindName, ...], Field(max_length=MAX_KINDS)] = ()
    metrics: Address | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that the service handles, in order of their names."""
        return tuple(sorted(handled.kind for handled in self.handles))

    def handled(self, kind: str) -> HandledKind | None:
        """What is stated of a kind; None: the service does not handle it."""
        return next((handled for handled in self.handles if handled.kind == kind), None)

    def reads(self, kind: str) -> tuple[int, ...]:
        """Versions of a kind that the service reads; empty: it does not handle the kind."""
        handled = self.handled(kind)
        return () if handled is None else handled.reads

    def text(self) -> str:
        """Canonical JSON: the same for the same content."""
        stated = self.model_dump(mode="json", exclude_defaults=True, exclude={"manifest"}) | {"manifest": 1}
        stated["handles"] = sorted(stated["handles"], key=lambda handled: handled["kind"])
        return json.dumps(stated, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def digest(self) -> str:
        """SHA-256 of `text`."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    @model_validator(mode="after")
    def _each_kind_once(self) -> Self:
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError("each kind is handled once")
        return self
