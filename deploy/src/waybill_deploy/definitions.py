"""RabbitMQ's definitions file: one user for each process, with the permissions that the process needs.

Format: https://www.rabbitmq.com/docs/definitions; password hashes: https://www.rabbitmq.com/docs/passwords.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from waybill_deploy.processes import Process

#: User for people who administer the broker; no process uses it.
ADMINISTRATOR: Final = "admin"
_SALT_BYTES: Final = 4
_EVERYTHING: Final = ".*"
_NOTHING: Final = "^$"


def definitions(
    processes: Sequence[Process], passwords: Mapping[str, str], vhost: str = "/"
) -> dict[str, Any]:
    """The content of the file.

    Args:
        processes: of the installation.
        passwords: of each of them and of `ADMINISTRATOR`, by name.
        vhost: virtual host of the installation.
    """
    return {
        "vhosts": [{"name": vhost}],
        "users": [
            {
                "name": name,
                "password_hash": _hashed(password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": ["administrator"] if name == ADMINISTRATOR else [],
            }
            for name, password in passwords.items()
        ],
        "permissions": list(permissions(processes, vhost)),
    }


def permissions(processes: Iterable[Process], vhost: str) -> Iterable[dict[str, str]]:
    """Permissions of each user, as regular expressions on the names of exchanges and queues."""
    everything = {"configure": _EVERYTHING, "write": _EVERYTHING, "read": _EVERYTHING}
    yield {"user": ADMINISTRATOR, "vhost": vhost} | everything
    for process in processes:
        rights = process.rights
        yield {
            "user": process.name,
            "vhost": vhost,
            "configure": _expression(rights.configure),
            "write": _expression(rights.write),
            "read": _expression(rights.read),
        }


def _expression(allowed: frozenset[str]) -> str:
    if not allowed:
        return _NOTHING
    return f"^({'|'.join(sorted(allowed))})$"


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(_SALT_BYTES)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
