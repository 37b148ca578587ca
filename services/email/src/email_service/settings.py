"""The settings of the email service."""

from typing import Literal

from pydantic import Field, SecretStr

from chassis.settings import CircuitSettings, Seconds, ServiceSettings


class EmailSettings(CircuitSettings, ServiceSettings):
    """What the email service needs besides what every service does."""

    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(25, ge=1, le=65535)
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["none", "starttls", "tls"] = "starttls"
    smtp_connections: int = Field(4, ge=1, le=100, description="Mails on the wire at once.")
    smtp_timeout_seconds: Seconds = Field(20, description="For the connection and for each answer.")
    sender: str = Field(description="`no-reply@example.com` or `Example <no-reply@example.com>`.")
