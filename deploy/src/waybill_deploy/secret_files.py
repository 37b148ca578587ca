"""Secrets of an installation: a folder for each process, with a file for each setting.

Existing files are kept, so that you can provide your own and a second start changes nothing. Only its owner
can read the whole folder; a container gets only the folder of its process.
"""

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from yarl import URL

from waybill_contracts.kinds import STATUS_SERVICE
from waybill_contracts.privacy import Keyring
from waybill_contracts.registry import Registry
from waybill_deploy.definitions import ADMINISTRATOR, definitions
from waybill_deploy.processes import CORE, GATEWAY, LEDGER, Process, processes_of, service_process
from waybill_ledger.access import NewKey, Scope, Secret, new_key

#: Name of the one-shot process that prepares the databases; only it may change the schema of the ledger.
MIGRATE: Final = "migrate"
#: First API keys of an installation: folder and file of each, and its scope.
FIRST_KEYS: Final = {
    ("operator", "waybill_api_key"): Scope.ADMIN,
    ("prometheus", "waybill_api_key"): Scope.METRICS,
}
#: Name of the setting with the keys that seal personal data.
_SEALING: Final = "waybill_sealing_keys"
#: Name of the setting with the key of the digests of persons.
_PERSONS: Final = "waybill_persons_key"
#: Random bytes in a password: too many to guess, even from a fast hash.
_PASSWORD_BYTES: Final = 24
_OWNER_ONLY: Final = 0o700
#: The user in a container is unknown here; the folder protects the files on the host.
_READABLE: Final = 0o444


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses of broker and database, as host:port."""

    broker: str
    database: str


class SecretFiles:
    """The folder of secrets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return self._folder

    def make_missing(self, places: Places, registry: Registry) -> None:
        """Writes missing files, and always the definitions of the broker.

        Args:
            places: of broker and database.
            registry: has the services. Others that have a folder already keep it, and their broker user.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(_OWNER_ONLY)
        self._keep("postgres", "password", secrets.token_hex(_PASSWORD_BYTES))
        self._keep("rabbitmq", "admin_password", secrets.token_hex(_PASSWORD_BYTES))
        self._keep("grafana", "password", secrets.token_hex(_PASSWORD_BYTES))
        self._keep(MIGRATE, "waybill_ledger_url", _database_url(LEDGER, LEDGER, places))
        for owner, name in FIRST_KEYS:
            self._keep(owner, name, Secret.new().token)
        self._keep_processes(processes_of(registry), places)
        processes = self._processes()
        passwords = {process.name: self._broker_password(process.name) for process in processes}
        passwords[ADMINISTRATOR] = self._read("rabbitmq", "admin_password")
        document = definitions(processes, passwords)
        self._write("rabbitmq", "definitions.json", json.dumps(document, indent=2))

    def _keep_processes(self, processes: Sequence[Process], places: Places) -> None:
        for process in processes:
            self._keep(process.name, "waybill_amqp_url", _amqp_url(process.name, places))
            url = _database_url(process.name, process.database, places)
            self._keep(process.name, process.database_setting, url)
        self._keep_keys([process.name for process in processes if process.seals])
        self._keep(GATEWAY, _PERSONS, Keyring.new_key())
        # It makes digests of the persons that spawned tasks are about.
        self._keep(STATUS_SERVICE, _PERSONS, self._read(GATEWAY, _PERSONS))

    def _keep_keys(self, sealers: Sequence[str]) -> None:
        # All processes share one key; a new folder gets the key of the others.
        sealing = next(
            (self._read(name, _SEALING) for name in sealers if self._path(name, _SEALING).exists()), ""
        )
        for name in sealers:
            self._keep(name, _SEALING, sealing or (sealing := Keyring.new_key()))

    def _processes(self) -> Sequence[Process]:
        """Processes that have a folder; those of services that were registered later are among them."""
        own = {process.name for process in CORE}
        folders = (path.parent for path in self._folder.glob("*/waybill_inbox_url"))
        services = (path.name for path in folders if (path / "waybill_amqp_url").exists())
        return (
            *CORE,
            *(
                service_process(name, seals=self._path(name, _SEALING).exists())
                for name in sorted(services)
                if name not in own
            ),
        )

    def superuser_url(self) -> URL:
        """URL of the database server, with its superuser."""
        server = URL(self.ledger_url()).with_path("/postgres")
        return server.with_user("postgres").with_password(self._read("postgres", "password"))

    def ledger_url(self) -> str:
        """URL of the ledger, with its owner."""
        return self._read(MIGRATE, "waybill_ledger_url")

    def database_urls(self) -> Iterable[tuple[str, URL]]:
        """Yields the database of every process (`LEDGER`, or its own), and the URL with its role."""
        for process in self._processes():
            yield process.database, URL(self._read(process.name, process.database_setting))

    def first_keys(self) -> Iterable[NewKey]:
        """Yields the first API keys, to be stored in the ledger.

        Raises:
            ValueError: a file has no token.
        """
        for (owner, name), scope in FIRST_KEYS.items():
            secret = Secret.of(self._read(owner, name))
            if secret is None:
                raise ValueError(f"{self._path(owner, name)} has no token of an API key")
            yield new_key(secret, name=owner, scopes=[scope], actor="python -m waybill_deploy databases")

    def _broker_password(self, name: str) -> str:
        password = URL(self._read(name, "waybill_amqp_url")).password
        if not password:
            raise ValueError(f"{self._path(name, 'waybill_amqp_url')} has no password")
        return password

    def _keep(self, process: str, name: str, text: str) -> None:
        if not self._path(process, name).exists():
            self._write(process, name, text)

    def _write(self, process: str, name: str, text: str) -> None:
        path = self._path(process, name)
        path.parent.mkdir(exist_ok=True)
        # Written at once: an interrupted start leaves no half of a password.
        unfinished = path.with_name(f".{name}")
        unfinished.write_text(text + "\n")
        unfinished.chmod(_READABLE)
        unfinished.replace(path)

    def _read(self, process: str, name: str) -> str:
        return self._path(process, name).read_text().strip()

    def _path(self, process: str, name: str) -> Path:
        return self._folder / process / name


def _amqp_url(user: str, places: Places) -> str:
    return f"amqp://{user}:{secrets.token_hex(_PASSWORD_BYTES)}@{places.broker}/"


def _database_url(role: str, database: str, places: Places) -> str:
    return f"postgresql://{role}:{secrets.token_hex(_PASSWORD_BYTES)}@{places.database}/{database}"
