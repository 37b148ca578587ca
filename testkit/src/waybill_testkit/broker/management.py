"""Client for RabbitMQ's management HTTP API: the calls that stack and tests need."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

#: The API answers within milliseconds; a broker that is busy starting may take some seconds.
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class QueueState:
    """A queue at a moment: messages waiting, messages delivered but not acknowledged, consumers."""

    name: str
    ready: int
    unacked: int
    consumers: int


class Management:
    """A client of the management API; calls raise `httpx.HTTPError` if the broker refuses or is unreachable.

    Args:
        url: where the API listens, without user and password.
        user: name of the user, who also gets all permissions in virtual hosts made here.
        password: of that user.
    """

    def __init__(self, url: str, user: str = "guest", password: str = "guest") -> None:  # noqa: S107 (RabbitMQ's own default)
        self._user = user
        self._http = httpx.Client(
            base_url=url,
            auth=(user, password),
            timeout=TIMEOUT_SECONDS,
            # The broker may have been restarted since the last call, which leaves a dead kept-alive
            # connection.
            transport=httpx.HTTPTransport(retries=1),
        )

    def answers(self) -> bool:
        """Whether the API is up."""
        try:
            return self._http.get("/api/overview").is_success
        except httpx.TransportError:
            return False

    def create_vhost(self, name: str) -> None:
        """Make a virtual host, if it does not exist, and give this client's user all permissions in it."""
        self._call("PUT", f"/api/vhosts/{_quote(name)}")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self._call("PUT", f"/api/permissions/{_quote(name)}/{_quote(self._user)}", json=everything)

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host with its queues and connections."""
        self._call("DELETE", f"/api/vhosts/{_quote(name)}")

    def import_definitions(self, document: Mapping[str, Any]) -> None:
        """Make what a definitions file lists: users, permissions and more; existing objects stay."""
        self._call("POST", "/api/definitions", json=document)

    def version(self) -> tuple[int, int]:
        """Major and minor version of the broker."""
        major, minor = self._call("GET", "/api/overview").json()["rabbitmq_version"].split(".")[:2]
        return int(major), int(minor)

    def set_policy(self, vhost: str, pattern: str, definition: Mapping[str, Any]) -> None:
        """Sets a policy for the queues of a virtual host whose names match."""
        policy = {"pattern": pattern, "definition": dict(definition), "apply-to": "queues"}
        self._call("PUT", f"/api/policies/{_quote(vhost)}/test", json=policy)

    def delete_user(self, name: str) -> None:
        """Delete a user; its connections are closed."""
        self._call("DELETE", f"/api/users/{_quote(name)}")

    def close_connections(self) -> None:
        """Close every client connection of this user, in all virtual hosts, from the broker's side."""
        self._call("DELETE", f"/api/connections/username/{_quote(self._user)}")

    def close_vhost_connections(self, vhost: str) -> int:
        """Close the client connections of one virtual host, from the broker's side.

        Returns:
            How many were closed. The API learns of new connections late (within a second in our own
            brokers), so a caller that has just connected repeats this until it says 1.
        """
        closed = 0
        for connection in self._call("GET", f"/api/vhosts/{_quote(vhost)}/connections").json():
            answer = self._http.delete(f"/api/connections/{_quote(connection['name'])}")
            if answer.status_code != httpx.codes.NOT_FOUND:  # closed by its client in the meantime
                answer.raise_for_status()
                closed += 1
        return closed

    def queue(self, name: str, vhost: str = "/") -> QueueState:
        """The state of one queue; see `queues`.

        Raises:
            KeyError: there is no such queue.
        """
        for state in self.queues(vhost):
            if state.name == name:
                return state
        raise KeyError(f"no queue {name} in the virtual host {vhost}")

    def queues(self, vhost: str = "/") -> list[QueueState]:
        """The state of every queue.

        The numbers of quorum queues are as old as the broker's `quorum_tick_interval` (5 s unless set; a
        second in our own brokers), those of classic queues are current.
        """
        # Only this form, RabbitMQ >= 3.10's way without statistics, is current; statistics lag up to 5 s
        # more.
        totals = {"disable_stats": "true", "enable_queue_totals": "true"}
        listed = self._call("GET", f"/api/queues/{_quote(vhost)}", params=totals).json()
        consumers = [
            consumer["queue"]["name"]
            for consumer in self._call("GET", f"/api/consumers/{_quote(vhost)}").json()
        ]
        return [
            QueueState(
                name=queue["name"],
                ready=queue.get("messages_ready", 0),
                unacked=queue.get("messages_unacknowledged", 0),
                consumers=consumers.count(queue["name"]),
            )
            for queue in listed
        ]

    def close(self) -> None:
        """Close this client's connections."""
        self._http.close()

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return self._http.request(method, path, **arguments).raise_for_status()


def _quote(name: str) -> str:
    return quote(name, safe="")
