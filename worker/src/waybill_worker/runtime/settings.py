"""The settings of every process. They are read when a process starts, never at import."""

import os
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    AfterValidator,
    AmqpDsn,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from waybill_contracts.privacy import Keyring
from waybill_database import ANSWER_SECONDS, READERS, Records
from waybill_worker.runtime.tls import TlsFiles

#: Seconds after the grace time in which a stopping process ends in any case: some to close the connections to
#: the broker, some for the rest.
ENDING_SECONDS: Final = 8.0
#: Far more than one machine has use for.
MOST_PROCESSES: Final = 64
#: Variable with a folder of files for settings that should not be in the environment: `waybill_amqp_url` …
SECRETS_FOLDER: Final = "WAYBILL_SECRETS_FOLDER"

#: The client would take these from the URL; one of them would switch the checks off.
_TLS_IN_URL: Final = frozenset({"cafile", "capath", "cadata", "certfile", "keyfile", "no_verify_ssl"})


def _amqp_url(value: str) -> str:
    try:
        TypeAdapter(AmqpDsn).validate_python(value)
    except ValidationError as error:
        # The error's own text would repeat the URL, with the password.
        raise ValueError("; ".join(line["msg"] for line in error.errors())) from None
    if named := sorted(_TLS_IN_URL & parse_qs(urlsplit(value).query).keys()):
        raise ValueError(f"{', '.join(named)}: set amqp_ca_file, amqp_cert_file and amqp_key_file instead")
    return value


def _http_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address begins with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no credentials in an address: it is shown in logs")
    return value.rstrip("/")


#: Checked when a process starts, not when it first connects; not shown, because it holds a password.
AmqpUrl = Annotated[str, AfterValidator(_amqp_url), Field(repr=False)]
#: `sqlite:///file` or `postgresql://user:password@host/name`; not shown either.
DatabaseUrl = Annotated[str, Field(repr=False)]
#: Address of a system that is reached over HTTP.
HttpAddress = Annotated[str, AfterValidator(_http_address)]
Seconds = Annotated[float, Field(gt=0)]


class ProcessSettings(BaseSettings):
    """Settings of each process.

    From the environment, with the prefix `WAYBILL_`, or from a file in the folder of secrets.
    """

    # Settings hold passwords: an error names a setting, and does not show its value.
    model_config = SettingsConfigDict(
        env_prefix="WAYBILL_", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - no file of the working folder is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - it knows no folder from outside
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Adds the folder of secrets, if there is one, after the environment.

        Raises:
            ValueError: the variable names no folder.
        """
        folder = os.environ.get(SECRETS_FOLDER)
        if not folder:
            return init_settings, env_settings
        if not Path(folder).is_dir():
            raise ValueError(f"{SECRETS_FOLDER} names {folder}, which is no folder")
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, secrets_dir=folder)

    amqp_url: AmqpUrl = Field(
        "amqp://guest:guest@127.0.0.1:5672/", description="The broker, with its virtual host."
    )
    amqp_ca_file: Path | None = Field(
        None,
        description="Certificate authorities for the broker (amqps://), as PEM; none: the system's.",
    )
    amqp_cert_file: Path | None = Field(None, description="Our certificate, if the broker asks for one.")
    amqp_key_file: Path | None = Field(
        None, description="Its key, without a passphrase; none: it is in amqp_cert_file."
    )
    amqp_heartbeat_seconds: int = Field(
        10, ge=1, description="A dead broker is noticed after about three of these."
    )
    publish_timeout_seconds: Seconds = Field(
        10, description="How long a publish may wait for its confirm before its fate counts as unknown."
    )
    grace_seconds: Seconds = Field(
        25, description="How long a stopping process waits for the work under way."
    )
    database_readers: int = Field(
        READERS,
        ge=1,
        le=100,
        description="Reads of the database at once. A process opens one connection more than that.",
    )
    database_answer_seconds: Seconds = Field(
        ANSWER_SECONDS,
        description="A statement that takes PostgreSQL longer fails, and is tried again where it can be.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    processes: int = Field(
        1,
        ge=1,
        le=MOST_PROCESSES,
        description="Processes that do the same work behind one parent, on one address: about as many as "
        "there are cores for it.",
    )
    health_host: str = Field("127.0.0.1", description="Where /healthz, /startupz and /readyz are served.")
    health_port: int = Field(0, ge=0, le=65535, description="0: any free port; it is logged.")
    listener_fd: int | None = Field(
        None,
        ge=3,
        description="A listening socket that is inherited from the parent process, instead of binding one: "
        "two processes may share it while one takes over from the other.",
    )

    @model_validator(mode="after")
    def _files_need_tls(self) -> Self:
        if self.amqp_files != TlsFiles() and not self.uses_amqps:
            raise ValueError("amqp_ca_file and amqp_cert_file need an amqp_url that begins with amqps://")
        return self

    @property
    def stop_seconds(self) -> float:
        """The longest time from the signal to stop until the process has ended."""
        return self.grace_seconds + ENDING_SECONDS

    @property
    def address(self) -> tuple[str, int]:
        """Host and port where the process listens, unless it inherits a socket."""
        return self.health_host, self.health_port

    def records(self, url: str) -> Records:
        """Opens a database of the process; nothing is connected yet.

        Raises:
            ValueError: neither SQLite nor PostgreSQL.
        """
        return Records(url, readers=self.database_readers, answer_seconds=self.database_answer_seconds)

    @property
    def uses_amqps(self) -> bool:
        """Whether the broker is reached over TLS."""
        return urlsplit(self.amqp_url).scheme == "amqps"

    @property
    def amqp_files(self) -> TlsFiles:
        """Certificate authorities for the broker, and our own certificate."""
        return TlsFiles(ca_file=self.amqp_ca_file, cert_file=self.amqp_cert_file, key_file=self.amqp_key_file)


class SealingSettings(BaseSettings):
    """Settings of processes that seal or open the sensitive fields of payloads."""

    sealing: Literal["on", "off"] = Field(
        "on", description="off: new payloads are not sealed; sealed ones are still opened."
    )
    sealing_keys: SecretStr | None = Field(
        None,
        description="Keys of 32 bytes in base64, separated by commas: the first one seals, every one opens. "
        "`python -m waybill_deploy key` makes one.",
    )

    @field_validator("sealing_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            Keyring.of(value.get_secret_value())
        return value

    def keyring(self) -> Keyring:
        """The keys.

        Raises:
            ValueError: there is none, although sealing is on.
        """
        text = "" if self.sealing_keys is None else self.sealing_keys.get_secret_value()
        keys = Keyring.of(text, seals=self.sealing == "on")
        if self.sealing == "on" and not keys.names:
            raise ValueError(
                "WAYBILL_SEALING_KEYS is not set, so personal data would be kept and sent unsealed. "
                "`python -m waybill_deploy key` makes a key; WAYBILL_SEALING=off does without."
            )
        return keys
