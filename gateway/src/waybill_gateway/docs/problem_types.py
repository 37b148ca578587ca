"""All types of problems, and which operation may answer with them: this is the only place that defines it.

The OpenAPI document is made of it. Tests compare it with the code that raises problems, and with each problem
that they receive.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from waybill_gateway.auth import NEEDED

#: Status to code to meaning, for people. A few codes have two statuses.
PROBLEM_TYPES: Final[Mapping[HTTPStatus, Mapping[str, str]]] = MappingProxyType(
    {
        HTTPStatus.BAD_REQUEST: {
            "bad_actor": "X-Actor is 1 to 128 printable ASCII characters.",
            "bad_last_event_id": "No event has this id. Begin again without Last-Event-ID.",
            "bad_idempotency_key": "Idempotency-Key is 1 to 255 visible ASCII characters without spaces.",
            "bad_request": "The form cannot be read.",
            "invalid_json": "The body cannot be read as JSON.",
            "malformed_request": "This cannot be read as a request of HTTP/1.1.",
            "repeated_header": "A header that counts once was sent more than once.",
        },
        HTTPStatus.UNAUTHORIZED: {
            "key_ended": "This key was revoked, or has expired.",
            "key_missing": "Send your key.",
            "key_unknown": "This is not a key of this installation.",
        },
        HTTPStatus.FORBIDDEN: {
            "scope_missing": "This key does not allow that.",
        },
        HTTPStatus.NOT_FOUND: {
            "never_produced": "The task failed or was cancelled: no variant was made.",
            "no_such_file": "The task has no such file.",
            "no_such_format": "The variant has no such format.",
            "no_such_group": "There is no group of this id.",
            "no_such_kind": "There is no kind of this name.",
            "no_such_key": "There is no key of this id.",
            "no_such_link": "This is not a link of this installation.",
            "no_such_letter": "There is no dead letter of this id, or it was deleted.",
            "no_such_redrive": "There is no redrive of this number.",
            "no_such_schedule": "There is no schedule of this id; it may have been deleted.",
            "no_such_service": "There is no service of this name, or it is retired already.",
            "no_such_task": "There is no task of this id, or it was pruned.",
            "no_such_variant": "The task was not asked for such a variant.",
            "not_found": "There is no such path.",
            "token_unknown": "This token was never mailed.",
        },
        HTTPStatus.METHOD_NOT_ALLOWED: {
            "method_not_allowed": "The path takes other methods; Allow names them.",
        },
        HTTPStatus.REQUEST_TIMEOUT: {
            "slow_body": "The body did not arrive in time.",
            "slow_head": "The head of the request did not arrive in time.",
        },
        HTTPStatus.CONFLICT: {
            "already_started": "The redrive has already been started.",
            "body_broken": "The body of this schedule was altered. Send the body again.",
            "call_under_way": "A call with this Idempotency-Key is being answered. Repeat it in a moment.",
            "changed_meanwhile": "Another call changed this just now. Read it again, and repeat your change.",
            "hash_differs": "This is not the set of letters that you saw. Read the plan again.",
            "key_ended": "The key was revoked, or has expired: it cannot be replaced.",
            "cannot_run": "No task can be made of this schedule any more. Change its body, or delete it.",
            "name_taken": "Another schedule has this name.",
            "not_produced_yet": "The task is not completed. Repeat the call in a moment.",
            "several_files": "Several services have made a file of this name.",
            "overlaps": "Other redrives have started with letters of this one.",
            "registration_refused": "What is registered or in use forbids this release; errors lists each "
            "difference.",
            "service_in_use": "The service has open tasks, or schedules that make tasks for it alone.",
            "too_late": "The task has already ended.",
            "too_many_schedules": "The limit of schedules is reached.",
            "wrong_state": "The redrive is in another state.",
        },
        HTTPStatus.GONE: {
            "erased": "The content was erased.",
            "link_expired": "The link, its key or its task has ended. Ask the application for another link.",
            "no_longer_kept": "This file was made, but is not kept any more.",
            "payload_deleted": "The content is not kept any more.",
            "schedule_deleted": "This call made a schedule that has been deleted since.",
            "token_broken": "The address that the token belongs to was altered.",
            "token_expired": "The token is too old. Ask for a new one.",
            "token_redeemed": "The token has already been used.",
        },
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: {
            "too_large": "The body is too large.",
        },
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: {
            "encoded_body": "Send the body uncompressed.",
            "form_body": "Send the file itself as the body, not a form.",
            "not_json": "Send the body as JSON.",
        },
        HTTPStatus.UNPROCESSABLE_ENTITY: {
            "bad_cursor": "The cursor is not of this listing with these filters. Begin again without a "
            "cursor.",
            "call_erased": "The content of the call with this Idempotency-Key was erased.",
            "damaged": "The image is damaged or incomplete. Send the original.",
            "empty": "The file is empty.",
            "empty_range": "No time lies between since and until.",
            "too_large": "The image has too many bytes or pixels.",
            "invalid_data": "The data breaks its contract; errors has a JSON Pointer for each fault.",
            "invalid_request": "Fields are wrong; errors lists them.",
            "kind_retired": "No service handles this kind any more.",
            "key_reused": "This Idempotency-Key was used for a call with other content.",
            "name_too_long": "The schedule's name is too long for this tenant.",
            "never_due": "This schedule would never be due.",
            "no_address": "Persons are found by their whole mail address.",
            "no_such_file": "The task refers to files that are not there.",
            "not_an_image": "The file is not an image, even if its name says so.",
            "nothing_selected": "The selection has no letter that can be redriven.",
            "send_at_passed": "send_at is in the past.",
            "tasks_refused": "Nothing was accepted: errors has a JSON Pointer for each fault.",
            "too_costly": "Decoding the image takes too much memory or processor time.",
            "too_many_letters": "The selection has more letters than one redrive may have.",
            "too_young": "The tasks are too young to be pruned.",
            "unknown_kind": "There is no such kind of task.",
            "unknown_service": "There is no such service.",
            "unknown_target": "No target of this name is configured.",
            "unknown_version": "The services of the kind read no such version of its contract.",
            "unknown_variant": "There is no such variant.",
            "unsupported_format": "Images of this format are not supported.",
        },
        HTTPStatus.TOO_MANY_REQUESTS: {
            "too_many_requests": "Too many requests. Repeat the call later.",
        },
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: {
            "head_too_large": "The request's head is too large.",
        },
        HTTPStatus.INTERNAL_SERVER_ERROR: {
            "internal_error": "An internal error.",
        },
        HTTPStatus.SERVICE_UNAVAILABLE: {
            "file_being_removed": "An older copy of this file is being removed. Repeat the call soon.",
            "image_check_too_slow": "The image was not examined in time. Repeat the call in a moment.",
            "ledger_unavailable": "The ledger cannot be written or read now. Repeat the call in a moment.",
            "no_room": "There is no room for an upload now. Repeat the call in a moment.",
            "overloaded": "There are too many connections. Repeat the call in a moment.",
            "sealing_key_missing": "A sealing key that is needed is not configured here.",
            "store_misconfigured": "The object store refuses this gateway.",
            "store_unavailable": "Files cannot be stored or read now. Repeat the call in a moment.",
            "too_many_watchers": "Too many callers wait for tasks. Ask without waiting, or again later.",
        },
    }
)

#: Problems of any operation, before a route sees the request or by an internal error.
_ANY: Final = ("malformed_request", "slow_head", "head_too_large", "internal_error")
#: Problems of all but probes, which are answered with any number of connections.
_CROWDED: Final = ("overloaded",)
_PROBES: Final = frozenset({"healthz", "readyz", "metrics"})
#: Further problems of operations that need a key; each of them reads or writes the ledger.
_KEYED: Final = (
    *("repeated_header", "key_missing", "key_unknown", "401 key_ended", "scope_missing"),
    "too_many_requests",
)
_LEDGER: Final = ("ledger_unavailable",)
#: Problems by what an operation takes.
_BODY: Final = ("slow_body", "413 too_large", "encoded_body")
_JSON: Final = ("invalid_json", "not_json")
_FORM: Final = ("bad_request",)
_FIELDS: Final = ("invalid_request",)
_BY_HEADER: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "x-actor": ("bad_actor",),
        "last-event-id": ("bad_last_event_id", "too_many_watchers"),
        "idempotency-key": ("bad_idempotency_key", "call_under_way", "key_reused", "call_erased"),
    }
)
_BY_PARAMETER: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"cursor": ("bad_cursor",)})

#: Of what submits a task.
_TASK: Final = ("send_at_passed", "unknown_kind", "kind_retired")
_LINK: Final = ("no_such_link", "link_expired", "too_many_requests", "ledger_unavailable")
_STORE: Final = ("store_misconfigured", "store_unavailable")
_SCHEDULE: Final = ("no_such_schedule",)
_STEERING: Final = ("no_such_redrive", "wrong_state")
_REVEALING: Final = ("payload_deleted", "erased", "sealing_key_missing")
#: All others, by the name of the operation.
_OWN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "post_task": (*_TASK, "unknown_version", "invalid_data", "unknown_target", "422 no_such_file"),
        "post_tasks": ("tasks_refused",),
        "post_email": _TASK,
        "post_user": _TASK,
        "post_sync": (*_TASK, "unknown_target"),
        "post_password_reset": _TASK,
        "redeem_password_reset": (
            *("token_unknown", "token_expired", "token_redeemed", "token_broken"),
            "sealing_key_missing",
        ),
        "post_file": ("form_body", "no_room", "file_being_removed", *_STORE),
        "post_image": (
            *(*_TASK, "unknown_variant"),
            *("empty", "not_an_image", "unsupported_format", "422 too_large", "too_costly", "damaged"),
            *("image_check_too_slow", "file_being_removed", "422 no_such_file", *_STORE),
        ),
        "get_variant": (
            *("no_such_task", "no_such_variant", "no_such_format", "never_produced"),
            *("not_produced_yet", "no_longer_kept", *_STORE),
        ),
        "post_schedule": (
            *("unknown_kind", "kind_retired", "unknown_target", "never_due", "name_too_long"),
            *("name_taken", "too_many_schedules", "schedule_deleted"),
        ),
        "get_one_schedule": _SCHEDULE,
        "change_schedule": (
            *(*_SCHEDULE, "unknown_kind", "kind_retired", "unknown_target"),
            *("never_due", "name_too_long", "name_taken"),
            *("changed_meanwhile", "body_broken", "sealing_key_missing"),
        ),
        "run_schedule": (*_SCHEDULE, "cannot_run", "body_broken", "sealing_key_missing"),
        "delete_schedule": _SCHEDULE,
        "get_tasks": ("unknown_kind", "unknown_service", "no_address"),
        "get_one_task": ("no_such_task", "too_many_watchers"),
        "get_task_files": ("no_such_task",),
        "get_task_file": (
            *("no_such_task", "404 no_such_file", "several_files", "not_produced_yet"),
            *("no_longer_kept", *_STORE),
        ),
        "get_task_timeline": ("no_such_task",),
        "watch_task": ("no_such_task",),
        "get_linked_task": (*_LINK, "too_many_watchers"),
        "watch_linked_task": _LINK,
        "show_linked_task": _LINK,
        "cancel_task": ("no_such_task", "too_late"),
        "get_account": ("empty_range",),
        "prune": ("too_young",),
        "look_up_person": ("no_address",),
        "erase_person": ("no_address", "too_young"),
        "erase_tasks": ("too_young",),
        "get_dead_letter_group": ("no_such_group",),
        "export_dead_letter_group": ("no_such_group",),
        "note_dead_letter_group": ("no_such_group",),
        "archive_dead_letter_group": ("no_such_group",),
        "restore_dead_letter_group": ("no_such_group",),
        "get_dead_letter": ("no_such_letter",),
        "preview_edit": ("no_such_letter", "sealing_key_missing"),
        "plan_redrive": ("nothing_selected", "too_many_letters"),
        "get_one_redrive": ("no_such_redrive",),
        "get_redrive_letters": ("no_such_redrive",),
        "watch_redrive": ("no_such_redrive",),
        "start_redrive": (*_STEERING, "already_started", "hash_differs", "overlaps"),
        "pause_redrive": _STEERING,
        "resume_redrive": _STEERING,
        "cancel_redrive": _STEERING,
        "reveal_task": ("no_such_task", *_REVEALING),
        "reveal_schedule": (*_SCHEDULE, *_REVEALING),
        "reveal_dead_letter": ("no_such_letter", *_REVEALING),
        "reveal_planned_letter": ("no_such_letter", *_REVEALING),
        "get_kind": ("no_such_kind",),
        "get_service": ("no_such_service",),
        "put_service": ("registration_refused",),
        "retire_service": ("no_such_service", "service_in_use"),
        "get_one_key": ("no_such_key",),
        "revoke_key": ("no_such_key",),
        "rotate_key": ("no_such_key", "409 key_ended"),
    }
)
#: Problems of paths and methods without an operation.
OF_NO_OPERATION: Final = frozenset({"not_found", "method_not_allowed"})


def problems_of(operation: Mapping[str, Any]) -> list[tuple[HTTPStatus, str]]:
    """Status and code of each problem that an operation may be answered with.

    Args:
        operation: as the OpenAPI document has it; most follows from what it takes.
    """
    return sorted(_statused(code) for code in set(_codes_of(operation)))


def _codes_of(operation: Mapping[str, Any]) -> Iterator[str]:
    yield from _ANY
    if operation["operationId"] not in _PROBES:
        yield from _CROWDED
    if operation["operationId"] in NEEDED:
        yield from (*_KEYED, *_LEDGER)
    forms = operation.get("requestBody", {}).get("content", {})
    parameters = operation.get("parameters", ())
    if forms:
        yield from _BODY
        yield from _JSON if "application/json" in forms else ()
        yield from _FORM if "multipart/form-data" in forms else ()
    if forms or parameters:
        yield from _FIELDS
    for parameter in parameters:
        table = _BY_HEADER if parameter["in"] == "header" else _BY_PARAMETER
        yield from table.get(parameter["name"].lower(), ())
    yield from _OWN.get(operation["operationId"], ())


def _statused(code: str) -> tuple[HTTPStatus, str]:
    """A code with its status, which only codes with two statuses have in front."""
    number, _, name = code.rpartition(" ")
    if number:
        return HTTPStatus(int(number)), name
    [status] = (status for status, codes in PROBLEM_TYPES.items() if name in codes)
    return status, name
