"""Requests and answers about keys."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from waybill_gateway.http import Beginning, Moment, Number, Paged, Tenant, Text, Whole
from waybill_ledger import DEFAULT_TENANT, Key, Scope
from waybill_ledger.access import BURST, KEY_NAME_PATTERN, RATE

#: For how long the previous secret stays valid after a rotation: default and maximum.
OVERLAP, MAX_OVERLAP = timedelta(days=1), timedelta(days=30)
MAX_RATE, MAX_BURST = 100_000.0, 100_000

KeyName = Annotated[str, StringConstraints(pattern=KEY_NAME_PATTERN)]


class PostKey(BaseModel):
    """A new key."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "shop", "tenant": "acme", "scopes": ["submit", "read"]}]},
    )

    name: KeyName = Field(description="Name of its user, for people; it appears in the audit trail.")
    tenant: Tenant = Field(DEFAULT_TENANT, description="Owner of the tasks that it makes and sees.")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))] = Field(
        description="What it allows. `admin` allows everything, for every tenant."
    )
    expires_at: Moment | None = Field(None, description="End of its validity; it never ends if absent.")
    rate: Number = Field(
        RATE, ge=0.1, le=MAX_RATE, description="Requests a second, in each gateway process …"
    )
    burst: Whole = Field(BURST, ge=1, le=MAX_BURST, description="… and how many at once.")
    max_body_bytes: Annotated[Whole, Field(ge=1, le=2**40)] | None = Field(
        None, description="Largest body; the gateway's own limit holds as well."
    )

    @field_validator("expires_at")
    @classmethod
    def _lies_ahead(cls, value: datetime | None) -> datetime | None:
        if value is not None and value <= datetime.now(UTC):
            raise ValueError("is in the past")
        return value


class RotateKey(BaseModel):
    """A new secret for a key."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: Number = Field(
        OVERLAP.total_seconds(),
        ge=0,
        le=MAX_OVERLAP.total_seconds(),
        description="Seconds for which its current secret stays valid. An older one ends at once.",
    )


class KeyQuery(Paged):
    """Filters of the list of keys."""

    id: Beginning | None = Field(None, description="The first characters of its id.")
    tenant: Annotated[Text, Field(max_length=63)] | None = None


class KeyView(BaseModel):
    """A key, without its secret."""

    id: str
    name: str
    tenant: str
    scopes: list[Scope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute; null: never.")
    former_until: datetime | None = Field(description="End of the validity of the previous secret.")
    rate: float
    burst: int
    max_body_bytes: int | None

    @classmethod
    def of(cls, key: Key) -> Self:
        """A key as the API shows it."""
        shown = {name: getattr(key, name) for name in KeyView.model_fields}
        return cls(**shown | {"scopes": sorted(key.scopes)})


class MadeKey(KeyView):
    """A key with its token, which is shown only once."""

    token: str = Field(description="Send it as `Authorization: Bearer …`. It cannot be shown again.")

    @classmethod
    def with_token(cls, key: Key, token: str) -> Self:
        """A key that was just made or rotated."""
        return cls(**KeyView.of(key).model_dump(), token=token)


class KeyPageView(BaseModel):
    """A page of keys."""

    items: list[KeyView]
    next_cursor: str | None
