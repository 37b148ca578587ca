"""The settings of the sync service."""

from typing import Self

from pydantic import Field, SecretStr, model_validator

from waybill_contracts.kinds import TargetName
from waybill_worker.attempt import CircuitSettings
from waybill_worker.consume import ServiceSettings
from waybill_worker.runtime import Seconds, TlsFiles


class SyncSettings(CircuitSettings, ServiceSettings):
    """Settings of the sync service, in addition to those of every service."""

    targets: dict[TargetName, str] = Field(description='Name to base URL, as JSON: {"crm": "https://…"}.')
    target_headers: dict[TargetName, dict[str, SecretStr]] = Field(
        default_factory=dict, description="Name to headers of each request to it, for Authorization; as JSON."
    )
    target_tls: dict[TargetName, TlsFiles] = Field(
        default_factory=dict,
        description='Name to certificate files, as JSON: {"crm": {"ca_file": "/…/ca.pem", "cert_file": …, '
        '"key_file": …}}; without a ca_file the public authorities are trusted.',
    )
    target_timeout_seconds: Seconds = Field(10, description="For one complete call.")
    target_connections: int = Field(50, ge=1, le=1000, description="Connections to each target at once.")
    user_target: TargetName = Field("crm", description="The target for users.")

    @model_validator(mode="after")
    def _users_have_a_target(self) -> Self:
        if self.user_target not in self.targets:
            raise ValueError(f"user_target {self.user_target} is not one of {', '.join(self.targets)}")
        return self
