"""The scope that each route needs: this is the only place that defines it.

A route that is missing here cannot be created, and so neither can the gateway.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from waybill_ledger import Scope

#: Routes that need no key: supervisors must reach the first three, the others only describe the software or
#: are what a browser needs to sign in.
OPEN: Final = frozenset(
    {
        "healthz",
        "startupz",
        "readyz",
        "asyncapi",
        "entrance",
        "static_file",
        "get_linked_task",
        "watch_linked_task",
        "show_linked_task",
        "watch_script",
        "show_sign_in",
        "sign_in",
        "sign_out",
    }
)
#: The scopes of the others, by the name of the route's function, which is the id of its operation.
NEEDED: Final[Mapping[str, Scope]] = MappingProxyType(
    {
        "post_task": Scope.SUBMIT,
        "post_tasks": Scope.SUBMIT,
        "post_email": Scope.SUBMIT,
        "post_file": Scope.SUBMIT,
        "post_image": Scope.SUBMIT,
        "post_password_reset": Scope.SUBMIT,
        "redeem_password_reset": Scope.SUBMIT,
        "post_sync": Scope.SUBMIT,
        "post_user": Scope.SUBMIT,
        "cancel_task": Scope.SUBMIT,
        "post_schedule": Scope.SUBMIT,
        "change_schedule": Scope.SUBMIT,
        "run_schedule": Scope.SUBMIT,
        "delete_schedule": Scope.SUBMIT,
        "get_schedules": Scope.READ,
        "get_one_schedule": Scope.READ,
        "get_tasks": Scope.READ,
        "get_one_task": Scope.READ,
        "get_task_timeline": Scope.READ,
        "watch_task": Scope.READ,
        "watch_tasks": Scope.READ,
        "get_task_files": Scope.READ,
        "get_task_file": Scope.READ,
        "get_variant": Scope.READ,
        "get_account": Scope.READ,
        "get_stats": Scope.READ,
        "get_dead_letters": Scope.READ,
        "get_dead_letter": Scope.READ,
        "export_dead_letters": Scope.READ,
        "get_dead_letter_groups": Scope.READ,
        "get_dead_letter_group": Scope.READ,
        "export_dead_letter_group": Scope.READ,
        "get_desk_audit": Scope.READ,
        "get_audit": Scope.READ,
        "get_redrives": Scope.READ,
        "get_one_redrive": Scope.READ,
        "get_redrive_letters": Scope.READ,
        "watch_redrive": Scope.READ,
        "get_waiting_payloads": Scope.READ,
        "preview_edit": Scope.OPERATE,
        "discard_dead_letters": Scope.OPERATE,
        "archive_dead_letters": Scope.OPERATE,
        "restore_dead_letters": Scope.OPERATE,
        "note_dead_letter_group": Scope.OPERATE,
        "archive_dead_letter_group": Scope.OPERATE,
        "restore_dead_letter_group": Scope.OPERATE,
        "plan_redrive": Scope.OPERATE,
        "start_redrive": Scope.OPERATE,
        "pause_redrive": Scope.OPERATE,
        "resume_redrive": Scope.OPERATE,
        "cancel_redrive": Scope.OPERATE,
        "get_kinds": Scope.READ,
        "get_kind": Scope.READ,
        "get_services": Scope.READ,
        "get_service": Scope.READ,
        "put_service": Scope.DEPLOY,
        "retire_service": Scope.DEPLOY,
        "reveal_task": Scope.REVEAL,
        "reveal_schedule": Scope.REVEAL,
        "reveal_dead_letter": Scope.REVEAL,
        "reveal_planned_letter": Scope.REVEAL,
        "prune": Scope.ADMIN,
        "look_up_person": Scope.ADMIN,
        "erase_person": Scope.ADMIN,
        "erase_tasks": Scope.ADMIN,
        "post_key": Scope.ADMIN,
        "get_keys": Scope.ADMIN,
        "get_one_key": Scope.ADMIN,
        "rotate_key": Scope.ADMIN,
        "revoke_key": Scope.ADMIN,
        "metrics": Scope.METRICS,
        "get_targets": Scope.METRICS,
    }
)
#: Another scope that allows a route as well as the one in `NEEDED`.
ALSO: Final[Mapping[str, Scope]] = MappingProxyType(
    dict.fromkeys(("get_kinds", "get_kind", "get_services", "get_service"), Scope.DEPLOY)
)


class UndeclaredRouteError(Exception):
    """A route without a declaration of the scope that it needs."""


def needed_by(name: str) -> tuple[Scope, ...]:
    """The scopes of which a route needs one; empty: it needs no key.

    Raises:
        UndeclaredRouteError: it is neither in `NEEDED` nor in `OPEN`.
    """
    if name in OPEN:
        return ()
    if name not in NEEDED:
        raise UndeclaredRouteError(f"declare in gateway/auth/scopes.py which scope the route {name} needs")
    also = ALSO.get(name)
    return (NEEDED[name],) if also is None else (NEEDED[name], also)
