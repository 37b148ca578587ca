"""A service that registers itself while its kind is in use, as often as it takes."""

from http import HTTPStatus
from typing import Any

from tests.crash.stack import CrashStack, NotInTimeError, until
from tests.crash.team.names import AUDITORS, NAME_VARIABLE, OWNER, PACKED


class Registration:
    """The registration of one service, under a name that none had before.

    Args:
        stack: where it is registered.
        cell: that this is for.
    """

    def __init__(self, stack: CrashStack, cell: str) -> None:
        self._stack = stack
        self._process = stack.processes[AUDITORS]
        self._service = f"{AUDITORS}-{cell}"

    def clear(self) -> None:
        """Retires the one before: tasks go to the owner of the kind alone.

        Raises:
            NotInTimeError: it cannot be retired.
        """
        self._process.kill()
        for service in self._get("/v1/services?limit=500")["items"]:
            if service["name"].startswith(AUDITORS) and service["state"] == "in_use":
                answer = self._stack.gateway.delete(f"/v1/services/{service['name']}")
                if answer.is_error:
                    raise NotInTimeError(f"{service['name']} is not retired: {answer.text}")
        until(lambda: self._is_declared(OWNER), f"{PACKED} to be for {OWNER} alone")

    def begin(self) -> None:
        """Starts it; it registers itself first."""
        self._process.environment[NAME_VARIABLE] = self._service
        self._process.start()

    def finish(self) -> None:
        """Returns when it is registered, declared and works; starts it again whenever it has ended.

        Raises:
            NotInTimeError: it did not come to that.
        """
        until(self._works, f"{self._service} to work")
        until(lambda: self._is_declared(self._service, OWNER), f"{self._service} to have its route")

    def check(self, task_id: str) -> None:
        """Looks at a task that was posted after that.

        Raises:
            NotInTimeError: it is not for both services.
        """
        services = {row.service for row in self._stack.ledger.subtasks() if row.task_id == task_id}
        if services != {self._service, OWNER}:
            raise NotInTimeError(f"{self._service} is registered, but {task_id} is for {services} only")

    def _works(self) -> bool:
        if not self._process.is_alive():
            self._process.start()
        return self._process.is_ready()

    def _is_declared(self, *services: str) -> bool:
        kind = self._get(f"/v1/kinds/{PACKED}")
        return bool(kind["declared"]) and kind["services"] == sorted(services)

    def _get(self, path: str) -> Any:
        answer = self._stack.gateway.get(path)
        if answer.status_code != HTTPStatus.OK:
            raise NotInTimeError(f"{path}: {answer.text}")
        return answer.json()
