"""Authentication: the caller, what its key allows, and the routes that check it."""

from waybill_gateway.auth.actor import Actor
from waybill_gateway.auth.authenticator import Authenticator, key_ended, require_scope, too_often
from waybill_gateway.auth.caller import Caller, CallerDep, current_caller
from waybill_gateway.auth.guarded_route import (
    GuardedJsonRoute,
    GuardedRoute,
    Handle,
    admit,
    note_caller,
)
from waybill_gateway.auth.key_cache import KnownKeys, KnownKeysDep
from waybill_gateway.auth.scopes import NEEDED, UndeclaredRouteError, needed_by

__all__ = [
    "NEEDED",
    "Actor",
    "Authenticator",
    "Caller",
    "CallerDep",
    "GuardedJsonRoute",
    "GuardedRoute",
    "Handle",
    "KnownKeys",
    "KnownKeysDep",
    "UndeclaredRouteError",
    "admit",
    "current_caller",
    "key_ended",
    "needed_by",
    "note_caller",
    "require_scope",
    "too_often",
]
