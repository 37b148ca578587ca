"""The settings of the email service."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from waybill_worker.attempt import CircuitSettings, LadderSeconds, MaxAttempts
from waybill_worker.consume import ServiceSettings
from waybill_worker.runtime import Seconds, TlsFiles


class EmailSettings(CircuitSettings, ServiceSettings):
    """Settings of the email service, in addition to those of every service."""

    # Like mail servers: minutes first, then hourly, for a day. A full mailbox takes that long.
    retry_max_attempts: MaxAttempts = 30
    retry_base_seconds: Seconds = Field(60, description="The longest wait before the second attempt.")
    retry_cap_seconds: LadderSeconds = Field(3600, description="The longest wait before any attempt.")
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(25, ge=1, le=65535)
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["none", "starttls", "tls"] = "starttls"
    smtp_ca_file: Path | None = Field(
        None,
        description="Certificate authorities for the certificate of the server; none: those of the system.",
    )
    smtp_cert_file: Path | None = Field(None, description="Client certificate, if the server requires one.")
    smtp_key_file: Path | None = Field(
        None, description="Key of the client certificate; none: it is in smtp_cert_file."
    )
    smtp_connections: int = Field(4, ge=1, le=100, description="Mails that are sent at once.")
    smtp_timeout_seconds: Seconds = Field(20, description="For the connection and for each answer.")
    templates_folder: Path | None = Field(
        None,
        description="Your own mail templates, which precede those of Waybill; the gateway needs them too.",
    )
    sender: str = Field(description="`no-reply@example.com` or `Example <no-reply@example.com>`.")

    @model_validator(mode="after")
    def _files_need_tls(self) -> Self:
        if self.smtp_tls == "none" and self.smtp_files != TlsFiles():
            raise ValueError("smtp_ca_file and smtp_cert_file need smtp_tls to be starttls or tls")
        return self

    @property
    def smtp_files(self) -> TlsFiles:
        """Certificate files for the connection to the mail server."""
        return TlsFiles(ca_file=self.smtp_ca_file, cert_file=self.smtp_cert_file, key_file=self.smtp_key_file)
