"""A caller that posts without pause, repeats what was not answered, and keeps what was accepted."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

import httpx

#: Between two posts: some twenty a second.
PAUSE_SECONDS = 0.05
#: For everything that was accepted to be through, on a busy machine.
PATIENCE_SECONDS = 180.0
POLL_SECONDS = 0.5


@dataclass
class Caller:
    """Posts mails and records in turn."""

    gateway: str
    key: str
    mark: str = field(default_factory=lambda: secrets.token_hex(3))
    #: Address or record id -> task id.
    mails: dict[str, str] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Posts in the background for the time of the block."""
        enough = threading.Event()
        thread = threading.Thread(target=self._post_until, args=(enough,))
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join()

    def until_accepted(self, more: int) -> None:
        """Returns when `more` tasks have been accepted from now on."""
        wanted = len(self.mails) + len(self.records) + more
        deadline = monotonic() + PATIENCE_SECONDS
        while len(self.mails) + len(self.records) < wanted:
            assert monotonic() < deadline, f"accepted {len(self.mails) + len(self.records)}, wanted {wanted}"
            sleep(PAUSE_SECONDS)

    def outcomes(self) -> dict[str, int]:
        """How many tasks are in which state, once all have their outcome or patience is over."""
        waiting = {*self.mails.values(), *self.records.values()}
        ended: dict[str, int] = {}
        deadline = monotonic() + PATIENCE_SECONDS
        with self._client(30) as client:
            while waiting:
                for task_id in sorted(waiting):
                    state = _state(client, task_id)
                    if state in {"completed", "failed", "cancelled"} or monotonic() > deadline:
                        waiting.discard(task_id)
                        ended[state] = ended.get(state, 0) + 1
                sleep(POLL_SECONDS)
        return ended

    def _client(self, seconds: float) -> httpx.Client:
        as_whom = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.gateway, timeout=seconds, trust_env=False, headers=as_whom)

    def _post_until(self, enough: threading.Event) -> None:
        with self._client(10) as client:
            number = 0
            while not enough.is_set():
                number += 1
                name = f"{self.mark}-{number}"
                if number % 2:
                    address = f"{name}@example.com"
                    mail = {"to": address, "subject": "Hello", "text": "It works."}
                    self._accepted(client, "/v1/emails", mail, name, address, self.mails)
                else:
                    record = {"target": "crm", "resource": "contacts", "id": name, "data": {"number": number}}
                    self._accepted(client, "/v1/syncs", record, name, name, self.records)
                enough.wait(PAUSE_SECONDS)

    def _accepted(
        self,
        client: httpx.Client,
        path: str,
        body: dict[str, Any],
        key: str,
        about: str,
        into: dict[str, str],
    ) -> None:
        deadline = monotonic() + PATIENCE_SECONDS
        while monotonic() < deadline:
            try:
                answer = client.post(path, json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:  # the gateway is being replaced: say it again
                sleep(PAUSE_SECONDS)
                continue
            if answer.status_code == httpx.codes.ACCEPTED:
                into[about] = answer.json()["id"]
                return
            if not answer.is_server_error:
                break
            sleep(PAUSE_SECONDS)
        self.refused.append(f"{path} {key}")


def _state(client: httpx.Client, task_id: str) -> str:
    """State of a task; waits as long as Retry-After says."""
    while (answer := client.get(f"/v1/tasks/{task_id}")).status_code == httpx.codes.TOO_MANY_REQUESTS:
        sleep(float(answer.headers["Retry-After"]))
    return str(answer.raise_for_status().json()["state"])
