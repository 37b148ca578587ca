"""Who calls: what a request's key says of it, for the routes."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request

from waybill_ledger import DEFAULT_TENANT, Key, Scope

#: The place of the caller in the scope of its request.
CALLER: Final = "waybill.caller"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    #: What the key is called; None: nobody was asked for one.
    name: str | None
    #: Whose tasks it makes.
    tenant: str
    #: Whether it sees and touches what every tenant has.
    is_admin: bool
    #: Largest body that it may send; None: the gateway's own limit alone.
    max_body_bytes: int | None = None
    #: The key's id, for the audit trail: several keys may have one name.
    key_id: str | None = None

    @classmethod
    def of(cls, key: Key) -> "Caller":
        """Who calls with this key."""
        return cls(key.name, key.tenant, Scope.ADMIN in key.scopes, key.max_body_bytes, key.id)

    @property
    def sees(self) -> str | None:
        """The tenant whose rows it may see and touch; None: everybody's."""
        return None if self.is_admin else self.tenant


#: Who calls where no key is asked for.
ANYBODY: Final = Caller(None, DEFAULT_TENANT, is_admin=True)


async def current_caller(request: Request) -> Caller:
    """Who calls, as FastAPI asks for it; a route that lets in everybody has no caller, and fails."""
    caller: Caller = request.scope[CALLER]
    return caller


#: Who calls, for a route's signature.
CallerDep = Annotated[Caller, Depends(current_caller)]
