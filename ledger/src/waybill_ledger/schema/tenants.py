"""Tenants: whose a row is, and how a query is kept to one of them."""

from typing import Final

from sqlalchemy import ColumnElement, text

#: Whose everything is until somebody else is named: what was there before there were tenants, too.
DEFAULT_TENANT: Final = "default"
#: Of a tenant's name; it appears in logs and in the scope of idempotency keys.
TENANT_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"

#: ASCII's own unit separator: in no name that anybody types.
_BETWEEN: Final = "\x1f"


def owned_by(tenant: str | None, column: ColumnElement[str]) -> list[ColumnElement[bool]]:
    """Conditions that keep a query to the rows of a tenant; None: to everybody's.

    What belongs to nobody (a dead letter that no task is known of) is seen only by whoever sees everything.
    """
    if tenant is None:
        return []
    if tenant == DEFAULT_TENANT:
        return [column == tenant]
    # Says the very same as the partial indexes that others than the default one have; else they are not used.
    return [column == tenant, text(f"{column} <> '{DEFAULT_TENANT}'")]  # type: ignore[list-item] # TextClause is taken as a condition


def idempotency_scope(tenant: str, call: str) -> str:
    """The scope of a tenant's keys for a call; as it was before there were tenants for the default one."""
    return call if tenant == DEFAULT_TENANT else f"{tenant} {call}"


def qualified(tenant: str, name: str) -> str:
    """A name that is unique within a tenant as one that is unique among all, for a column of such names."""
    return name if tenant == DEFAULT_TENANT else f"{tenant}{_BETWEEN}{name}"


def unqualified(qualified_name: str) -> str:
    """The name that `qualified` made this of."""
    return qualified_name.rpartition(_BETWEEN)[2]
