"""Settings of the command: from flags, else environment, else configuration file, else local stack."""

import getpass
import json
import os
import socket
import ssl
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from waybill_cli.command_line import CommandError, Exit

Value = TypeVar("Value")
#: Environment variables of settings, by their names in the configuration file.
VARIABLES: Final = {
    "url": "WAYBILL_URL",
    "api_key": "WAYBILL_API_KEY",
    "actor": "WAYBILL_ACTOR",
    "amqp_url": "WAYBILL_AMQP_URL",
    "ca_file": "WAYBILL_CA_FILE",
}
#: As the API limits it.
MAX_ACTOR_LENGTH: Final = 128
_COMMAND_LINE: Final = "the command line"
CONFIG_VARIABLE: Final = "WAYBILL_CONFIG"
#: Names the folder with the settings of a service in an installation.
SECRETS_VARIABLE: Final = "WAYBILL_SECRETS_FOLDER"
DEFAULT_CONFIG: Final = "~/.config/waybill/config.toml"
#: Written by a local stack (`python -m waybill_devstack up`) into its working folder.
STACK_FILE: Final = Path(".waybill/stack.json")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and its source, for error messages."""

    value: str
    source: str
    #: Of an address: trusted authorities; None: the system's.
    tls: ssl.SSLContext | None = field(default=None, compare=False)


class Config:
    """The settings of one run.

    Args:
        flags: values from the command line, by setting.
        environment: of the process.
        folder: working folder; it and its parents are searched for a local stack.
    """

    def __init__(self, flags: Mapping[str, str], environment: Mapping[str, str], folder: Path) -> None:
        self._flags = flags
        self._environment = environment
        self._folder = folder

    def url(self) -> Setting:
        """URL of the gateway, without a slash at the end.

        Raises:
            CommandError: it is not configured, or no URL.
        """
        found = self._find("url", lambda: self._stack("gateway"))
        if found is None:
            raise CommandError(
                Exit.USAGE,
                "no gateway is configured",
                f"Name it: --url http://HOST:8000, {VARIABLES['url']}, or `url` in {self._file_name()}.",
                "In the folder of a local stack (python -m waybill_devstack up) it is found automatically.",
            )
        _require_url(found, ("http", "https"))
        return Setting(found.value.rstrip("/"), found.source, self.tls())

    def amqp_url(self) -> Setting:
        """URL of the broker.

        Raises:
            CommandError: it is not configured, or no URL.
        """
        found = self._find("amqp_url", lambda: self._stack("amqp"))
        if found is None:
            raise CommandError(
                Exit.USAGE,
                "no broker is configured",
                f"Name it: --amqp amqp://USER@HOST/VHOST, {VARIABLES['amqp_url']}, or `amqp_url` in "
                f"{self._file_name()}.",
            )
        _require_url(found, ("amqp", "amqps"))
        return replace(found, tls=self.tls())

    def ca_file(self) -> Path | None:
        """File of the trusted authorities for gateway and broker; None: the system's."""
        found = self._find("ca_file", lambda: None)
        return None if found is None else Path(found.value).expanduser()

    def tls(self) -> ssl.SSLContext | None:
        """Trusted authorities for gateway and broker; None: the system's.

        Raises:
            CommandError: the configured file has no certificates.
        """
        found = self._find("ca_file", lambda: None)
        if found is None:
            return None
        try:
            return ssl.create_default_context(cafile=Path(found.value).expanduser())
        except OSError as error:  # ssl.SSLError is one
            raise CommandError(
                Exit.USAGE, f"no certificates can be read from {found.value} (from {found.source}): {error}"
            ) from error

    def api_key(self) -> str | None:
        """API key of the caller; None: not configured."""
        found = self._find("api_key", lambda: None)
        return found.value if found else None

    def actor(self) -> str:
        """Name of the operator, for the audit trail.

        Raises:
            CommandError: the API would not accept that name.
        """
        found = self._find("actor", lambda: None)
        if found is None:
            return f"{_user()}@{socket.gethostname()}".encode("ascii", "replace").decode()
        if not (found.value.isascii() and found.value.isprintable() and len(found.value) <= MAX_ACTOR_LENGTH):
            raise CommandError(
                Exit.USAGE,
                f"the actor from {found.source} is not up to {MAX_ACTOR_LENGTH} printable ASCII characters",
            )
        return found.value

    def local_service(self, name: str) -> dict[str, str]:
        """The `WAYBILL_…` variables of a service that joins the local stack.

        Args:
            name: of the service.

        Returns:
            None of them, if there is no local stack, or another gateway or broker is configured.
        """
        elsewhere = any(self._find(setting, lambda: None) for setting in ("url", "amqp_url"))
        if elsewhere or self._environment.get(SECRETS_VARIABLE):
            return {}
        _, found = self._in_stack("service_settings", dict)
        return {variable: value.replace("{service}", name) for variable, value in (found or {}).items()}

    def _find(self, name: str, otherwise: Callable[[], Setting | None]) -> Setting | None:
        if value := self._flags.get(name):
            return Setting(value, _COMMAND_LINE)
        if value := self._environment.get(VARIABLES[name]):
            return Setting(value, VARIABLES[name])
        if value := self._file().get(name):
            return Setting(value, self._file_name())
        return otherwise()

    def _file_name(self) -> str:
        return self._flags.get("config") or self._environment.get(CONFIG_VARIABLE) or DEFAULT_CONFIG

    def _file(self) -> dict[str, str]:
        """The configuration file; empty if the default one does not exist."""
        path = Path(self._file_name()).expanduser()
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if self._file_name() == DEFAULT_CONFIG:
                return {}
            raise CommandError(Exit.USAGE, f"there is no configuration file {path}") from None
        except (OSError, ValueError) as error:
            raise CommandError(
                Exit.USAGE, f"the configuration file {path} cannot be read: {error}"
            ) from error
        wrong = sorted(k for k, v in content.items() if k not in VARIABLES or not isinstance(v, str))
        if wrong:
            raise CommandError(
                Exit.USAGE,
                f"the configuration file {path} has unknown or wrong entries: {', '.join(wrong)}",
                f"Allowed, each as a string: {', '.join(VARIABLES)}.",
            )
        return content

    def _stack(self, name: str) -> Setting | None:
        path, value = self._in_stack(name, str)
        return None if value is None else Setting(value, str(path))

    def _in_stack(self, name: str, type_: type[Value]) -> tuple[Path, Value | None]:
        """An entry of the local stack's file, and the file."""
        for folder in (self._folder, *self._folder.parents):
            path = folder / STACK_FILE
            try:
                value: Any = json.loads(path.read_text(encoding="utf-8")).get(name)
            except (OSError, ValueError, AttributeError):
                continue  # no file, or one that is being written: the search is a convenience
            if isinstance(value, type_):
                return path, value
        return STACK_FILE, None


def process_config(flags: Mapping[str, str]) -> Config:
    """The configuration of this process."""
    return Config(flags, os.environ, Path.cwd())


def place(url: str) -> str:
    """A URL without user and password, for messages."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _require_url(setting: Setting, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(setting.value)
        is_one = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        wanted = " or ".join(f"{scheme}://…" for scheme in schemes)
        raise CommandError(Exit.USAGE, f"the address from {setting.source} is no URL like {wanted}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return str(os.getuid())
