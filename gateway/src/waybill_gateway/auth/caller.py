"""The caller of a request, as its key describes it."""

from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Request

from waybill_ledger import DEFAULT_TENANT, Key, Scope, Secret

#: The place of the caller in the scope of its request.
CALLER: Final = "waybill.caller"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request."""

    #: The name of the key; None if no key is needed.
    name: str | None
    #: The tenant that owns the tasks it makes.
    tenant: str
    #: Whether it sees and changes the data of every tenant.
    is_admin: bool
    #: Largest body that it may send; None: only the gateway's own limit holds.
    max_body_bytes: int | None = None
    #: The key's id, for the audit trail: several keys may have one name.
    key_id: str | None = None
    #: What its key allows.
    scopes: frozenset[Scope] = frozenset()
    #: The secret that it has sent.
    secret: Secret | None = field(default=None, repr=False)

    @classmethod
    def of(cls, key: Key, secret: Secret | None = None) -> "Caller":
        """The caller with this key."""
        is_admin = Scope.ADMIN in key.scopes
        return cls(key.name, key.tenant, is_admin, key.max_body_bytes, key.id, key.scopes, secret)

    @property
    def sees(self) -> str | None:
        """The tenant of the rows that it may see and change; None: every tenant."""
        return None if self.is_admin else self.tenant

    def allows(self, *scopes: Scope) -> bool:
        """Whether its key has one of these scopes; an administrator may do everything."""
        return self.is_admin or not self.scopes.isdisjoint(scopes)


#: The caller if no key is needed.
ANYBODY: Final = Caller(None, DEFAULT_TENANT, is_admin=True)


async def current_caller(request: Request) -> Caller:
    """The caller, as a dependency of FastAPI; fails on a route that needs no key, which has no caller."""
    caller: Caller = request.scope[CALLER]
    return caller


#: The caller, for a route's signature.
CallerDep = Annotated[Caller, Depends(current_caller)]
