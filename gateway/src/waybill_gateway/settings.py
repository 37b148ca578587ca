"""The settings of the gateway."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from waybill_contracts.kinds.fields import TargetName
from waybill_gateway.person_digests import Persons
from waybill_ledger import StallTimeoutSettings
from waybill_worker.runtime.settings import DatabaseUrl, ProcessSettings, SealingSettings, Seconds
from waybill_worker.storage.s3 import ObjectStoreSettings

MEBIBYTE = 1024 * 1024


class GatewaySettings(StallTimeoutSettings, ObjectStoreSettings, SealingSettings, ProcessSettings):
    """What the gateway needs besides what every process does."""

    host: str = "127.0.0.1"
    gateway_auth: Literal["keys", "open"] = Field(
        "open",
        description="keys: a caller needs an API key. open: nobody is asked for one, everybody may do all.",
    )
    gateway_open_to_anyone: bool = Field(
        False,  # noqa: FBT003 - pydantic's way to give a default
        description="Needed beside gateway_auth=open where others than this machine can reach the gateway.",
    )
    key_fresh_seconds: float = Field(
        5,
        gt=0,
        le=10,
        description="How long a key counts without another look at the ledger: one that was revoked, too.",
    )
    port: int = Field(8000, ge=0, le=65535)
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses or networks of the proxies before it; only their X-Forwarded-For and "
        "X-Forwarded-Proto are believed.",
    )
    ledger_url: DatabaseUrl = Field(description="Database of the ledger: sqlite:///file or postgresql://…")
    signed_url_seconds: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="Callers get variants straight from the bucket, by an address that is good for so long; "
        "none: the gateway passes them on.",
    )
    sync_targets: tuple[TargetName, ...] = Field((), description="The targets that syncs may name.")
    templates_folder: Path | None = Field(
        None,
        description="Mail templates of your own, as the email service has them: their parameters are read.",
    )
    reset_link: Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>\"]*\{token\}[^\s<>\"]*$")] = (
        Field(
            "http://127.0.0.1:8000/reset?token={token}",
            description="The page of the application that sets a new password; {token} is put in.",
        )
    )
    reset_ttl_seconds: Seconds = Field(3600, description="How long a password reset link is good.")
    max_body_bytes: int = Field(MEBIBYTE, gt=0, description="Largest JSON body.")
    max_upload_bytes: int = Field(25 * MEBIBYTE, gt=0, description="Largest image.")
    max_connections: int = Field(
        800,
        gt=0,
        description="Connections at once; who comes on top is answered 503. Keep it, with some room for "
        "databases and files, below the limit of open files, which is often 1,024.",
    )
    max_head_bytes: int = Field(32 * 1024, ge=1024, description="Largest head of a request.")
    head_seconds: Seconds = Field(10, description="How long a request's head may take to come.")
    body_seconds: Seconds = Field(
        30, description="The same for its body, and a second more for each 8 KiB that have come."
    )
    unread_seconds: Seconds = Field(60, description="How long a caller may leave an answer unread.")
    max_image_pixels: int = Field(100_000_000, gt=0, description="Largest image, in pixels.")
    max_image_edge: int = Field(30_000, gt=0, description="Longest edge of an image, in pixels.")
    image_probes: int = Field(
        2, ge=1, le=64, description="Uploads that are looked into at once, each in a process of its own."
    )
    image_probe_bytes: int = Field(
        1024 * MEBIBYTE, ge=256 * MEBIBYTE, description="Memory of each; an image that takes more is refused."
    )
    image_probe_cpu_seconds: Seconds = Field(
        10, description="Processor time for each look; an image that takes more is refused."
    )
    image_probe_seconds: Seconds = Field(
        30, description="The same by the clock; then the caller is asked to repeat."
    )
    persons_key: Annotated[SecretStr, Field(min_length=16)] | None = Field(
        None,
        description="Persons are found by a digest of their address with this key, and repeats of calls by "
        "one of their content: any long random text. It never changes: tasks from before would not be found "
        "any more, and repeats be refused.",
    )
    max_schedules: int = Field(1000, gt=0, description="Schedules that each tenant may have.")
    max_in_flight: int = Field(
        500, gt=0, description="Publishes under way at once; what comes on top waits for its turn."
    )
    drain_seconds: float = Field(
        5,
        ge=0,
        description="For how long a stopping gateway still takes requests, /readyz being 503: longer than it "
        "takes a load balancer to notice that.",
    )
    grace_seconds: Seconds = Field(
        10, description="How long a stopping gateway then waits for the requests under way."
    )
    discarded_days: float = Field(
        30, gt=0, description="How long letters that were discarded at the failure desk can be restored."
    )
    archived_days: float = Field(365, gt=0, description="The same for those that were archived.")

    @model_validator(mode="after")
    def _store_can_sign(self) -> Self:
        if self.signed_url_seconds is not None and not self.object_store_url.startswith("s3://"):
            raise ValueError("signed_url_seconds needs a bucket: object_store_url=s3://bucket/prefix")
        return self

    @model_validator(mode="after")
    def _is_open_on_purpose(self) -> Self:
        # An inherited socket listens where it does, whatever the host: it is judged when the gateway starts.
        if self.listener_fd is None:
            self.require_open_on_purpose(self.host)
        return self

    def require_open_on_purpose(self, host: str) -> None:
        """Refuses to be open by mistake.

        Args:
            host: where the gateway listens.

        Raises:
            ValueError: others than this machine reach it, and everybody may do everything.
        """
        if self.gateway_auth == "open" and not self.gateway_open_to_anyone and not _is_loopback(host):
            raise ValueError(
                f"WAYBILL_GATEWAY_AUTH=open lets everybody who reaches {host} do everything. Use keys, "
                "or say WAYBILL_GATEWAY_OPEN_TO_ANYONE=true as well"
            )

    @property
    def stop_seconds(self) -> float:
        """From the signal to stop until the process is gone, at the longest."""
        return self.drain_seconds + super().stop_seconds

    def persons(self) -> Persons:
        """Makes digests of persons.

        Raises:
            ValueError: there is no key, though payloads are sealed.
        """
        if self.persons_key is not None:
            return Persons(self.persons_key.get_secret_value().encode())
        if self.sealing == "on":
            raise ValueError(
                "WAYBILL_PERSONS_KEY is not set: anybody who has the ledger could try whom it is about. "
                "`python -m waybill_deploy key` makes one; WAYBILL_SEALING=off does without."
            )
        # Whoever reads the ledger reads the addresses, too.
        return Persons(None)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
