"""Ops alerts: mails to the operators about failed tasks, accepted like any other task."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from waybill_contracts.kinds import OPERATOR_MAIL, operator_mail
from waybill_contracts.privacy import Keyring
from waybill_contracts.registry import Registry
from waybill_ledger import (
    AlertPolicy,
    Digest,
    Failure,
    Group,
    NewTask,
    count_failures,
    end_window,
    insert_tasks,
    new_task_id,
)

#: Longest message that the parameters of the template allow.
_MAX_MESSAGE_LENGTH = 2000
#: Subject of alert tasks; tasks of callers have an address there.
ABOUT = "operators"


class Alerts:
    """Mails the operators about a new kind of failure at once, and about all others in digests.

    Args:
        ops_address: recipient.
        public_url: of the gateway, for links in mails.
        policy: limits of the mails.
        keyring: seals the mails.
        registry: gives the registry as it is now.
    """

    def __init__(
        self,
        ops_address: str,
        public_url: str,
        policy: AlertPolicy,
        keyring: Keyring,
        registry: Callable[[], Registry],
    ) -> None:
        self._registry = registry
        self._ops_address = ops_address
        self._public_url = public_url.rstrip("/")
        self._policy = policy
        self._keyring = keyring

    def report(self, connection: Connection, failures: Sequence[Failure], now: datetime) -> None:
        """Counts failures, and accepts a mail about each one to report at once."""
        counted = [failure for failure in failures if not self._is_of_alert(failure)]
        at_once = count_failures(connection, counted, self._policy, now)
        insert_tasks(connection, [self._first(failure, now) for failure in at_once])

    def end_window(self, connection: Connection, now: datetime) -> Digest | None:
        """Ends the window if it is due, and accepts the mail with its digest."""
        digest = end_window(connection, self._policy, now)
        if digest is not None:
            insert_tasks(connection, [self._digest(digest, now)])
        return digest

    def _is_of_alert(self, failure: Failure) -> bool:
        # A mail about it would go to the same address, fail, too, and so on.
        return failure.kind == OPERATOR_MAIL and failure.about == ABOUT

    def _first(self, failure: Failure, now: datetime) -> NewTask:
        error = failure.data.error
        params = {
            "task_id": failure.task_id,
            "kind": failure.kind,
            "service": failure.data.service,
            "error_type": error.type if error else "unknown",
            "error_message": error.message[:_MAX_MESSAGE_LENGTH] if error else "",
            "attempts": failure.data.attempt,
            "failed_at": failure.at.isoformat(),
            "task_url": self._task_url(failure.task_id),
        }
        return self._mail("ops_alert", params, now, failure.correlation_id)

    def _digest(self, digest: Digest, now: datetime) -> NewTask:
        params = {
            "since": digest.since.isoformat(),
            "until": digest.until.isoformat(),
            "failures": digest.failures,
            "kinds": digest.kinds,
            "groups": [self._group(group) for group in digest.groups],
            "tasks_url": f"{self._public_url}/v1/tasks?state=failed",
        }
        return self._mail("ops_digest", params, now)

    def _group(self, group: Group) -> dict[str, object]:
        return {
            "service": group.service,
            "kind": group.kind,
            "error_type": group.error_type,
            "error_message": group.error_message,
            "count": group.count,
            "last_at": group.last_at.isoformat(),
            "is_new": group.is_new,
            "task_url": self._task_url(group.task_id),
        }

    def _task_url(self, task_id: str) -> str:
        return f"{self._public_url}/v1/tasks/{task_id}"

    def _mail(
        self, template: str, params: dict[str, object], now: datetime, correlation_id: str | None = None
    ) -> NewTask:
        task_id = new_task_id()
        mail = operator_mail(self._ops_address, template, params)
        return NewTask.of(
            self._registry().kind(mail.KIND),
            mail.event_data(),
            self._keyring,
            id=task_id,
            created_at=now,
            correlation_id=correlation_id or task_id,
            about=ABOUT,
        )
