"""Tenants: the owner of a row, and conditions that limit a query to one owner."""

from typing import Final

from sqlalchemy import ColumnElement, text

#: Owner of everything for which no tenant is named, and of rows from before there were tenants.
DEFAULT_TENANT: Final = "default"
#: Pattern of tenant names; they appear in logs and in the scope of idempotency keys.
TENANT_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"

#: The unit separator of ASCII: no name contains it.
_BETWEEN: Final = "\x1f"


def owned_by(tenant: str | None, column: ColumnElement[str]) -> list[ColumnElement[bool]]:
    """Conditions that limit a query to the rows of a tenant; None: no conditions.

    Rows without a tenant (dead letters without a known task) are found only by queries for all tenants.
    """
    if tenant is None:
        return []
    if tenant == DEFAULT_TENANT:
        return [column == tenant]
    # Word for word the condition of the partial indexes for other tenants, or the database does not use them.
    return [column == tenant, text(f"{column} <> '{DEFAULT_TENANT}'")]  # type: ignore[list-item] # TextClause is taken as a condition


def idempotency_scope(tenant: str, call: str) -> str:
    """Scope of a tenant's idempotency keys for a call; for the default tenant the name of the call alone."""
    return call if tenant == DEFAULT_TENANT else f"{tenant} {call}"


def qualified(tenant: str, name: str) -> str:
    """A name that is unique among all tenants, for a name that is unique within one."""
    return name if tenant == DEFAULT_TENANT else f"{tenant}{_BETWEEN}{name}"


def unqualified(qualified_name: str) -> str:
    """The name within the tenant; reverses `qualified`."""
    return qualified_name.rpartition(_BETWEEN)[2]
