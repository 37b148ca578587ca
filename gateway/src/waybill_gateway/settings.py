"""The settings of the gateway."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from waybill_contracts.kinds import TargetName
from waybill_ledger import Persons, PersonSettings, StallTimeoutSettings
from waybill_worker.runtime import DatabaseUrl, ProcessSettings, SealingSettings, Seconds
from waybill_worker.storage import ObjectStoreSettings

MEBIBYTE = 1024 * 1024


class GatewaySettings(
    StallTimeoutSettings, PersonSettings, ObjectStoreSettings, SealingSettings, ProcessSettings
):
    """The settings of the gateway beside those of every process."""

    host: str = "127.0.0.1"
    gateway_auth: Literal["keys", "open"] = Field(
        "open",
        description="keys: a caller needs an API key. open: no key is needed, and every caller may do "
        "everything.",
    )
    gateway_open_to_anyone: bool = Field(
        False,  # noqa: FBT003 - pydantic's way to give a default
        description="Required together with gateway_auth=open if other machines can reach the gateway.",
    )
    key_fresh_seconds: float = Field(
        1,
        gt=0,
        le=10,
        description="Seconds for which a key is used without reading it again: so long a revoked key may "
        "still be valid.",
    )
    port: int = Field(8000, ge=0, le=65535)
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses or networks of the proxies in front of the gateway; only their "
        "X-Forwarded-For and X-Forwarded-Proto are trusted.",
    )
    ledger_url: DatabaseUrl = Field(description="Database of the ledger: sqlite:///file or postgresql://…")
    signed_url_seconds: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="Variants are redirected to the bucket, by an address that is valid for so many "
        "seconds; none: the gateway streams them.",
    )
    sync_targets: tuple[TargetName, ...] = Field((), description="Targets that syncs may name.")
    templates_folder: Path | None = Field(
        None,
        description="Folder with mail templates of your own, as the email service has it; the gateway "
        "reads their parameters.",
    )
    reset_link: Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>\"]*\{token\}[^\s<>\"]*$")] = (
        Field(
            "http://127.0.0.1:8000/reset?token={token}",
            description="Page of the application that sets a new password; {token} is replaced by the token.",
        )
    )
    reset_ttl_seconds: Seconds = Field(3600, description="Seconds for which a password reset link is valid.")
    max_body_bytes: int = Field(MEBIBYTE, gt=0, description="Largest JSON body.")
    max_upload_bytes: int = Field(25 * MEBIBYTE, gt=0, description="Largest image.")
    max_file_bytes: int = Field(100 * MEBIBYTE, gt=0, description="Largest file of POST /v1/files.")
    max_connections: int = Field(
        800,
        gt=0,
        description="Connections at once; further ones are answered with 503. Keep it below the limit of "
        "open files, which is often 1,024, with some room for databases and files.",
    )
    max_head_bytes: int = Field(32 * 1024, ge=1024, description="Largest head of a request.")
    head_seconds: Seconds = Field(10, description="Seconds within which the head of a request must arrive.")
    body_seconds: Seconds = Field(
        30, description="Seconds within which its body must arrive, and one more for each 8 KiB received."
    )
    unread_seconds: Seconds = Field(60, description="Seconds for which a caller may leave an answer unread.")
    max_image_pixels: int = Field(100_000_000, gt=0, description="Largest image, in pixels.")
    max_image_edge: int = Field(30_000, gt=0, description="Longest edge of an image, in pixels.")
    image_probes: int = Field(
        2, ge=1, le=64, description="Uploads that are examined at once, each in a process of its own."
    )
    image_probe_bytes: int = Field(
        1024 * MEBIBYTE,
        ge=256 * MEBIBYTE,
        description="Memory of each such process; an image that takes more is refused.",
    )
    image_probe_cpu_seconds: Seconds = Field(
        10, description="Processor time to examine an upload; an image that takes more is refused."
    )
    image_probe_seconds: Seconds = Field(
        30, description="Time to examine an upload; after it the caller is asked to repeat the call."
    )
    max_schedules: int = Field(1000, gt=0, description="Schedules that each tenant may have.")
    max_watchers: int = Field(
        500,
        gt=0,
        description="Callers at once that wait for tasks, or have their events streamed. Keep it well below "
        "max_connections: each has a connection.",
    )
    watch_link_seconds: int = Field(
        86_400,
        ge=0,
        le=30 * 86_400,
        description="Seconds for which the link in the answer of a task is valid at most, and half of it at "
        "least, by which a browser watches that task; 0: no links.",
    )
    watch_origins: tuple[Annotated[str, StringConstraints(pattern=r"^(\*|https?://[^/\s]+)$")], ...] = Field(
        (),
        description="Origins whose pages may read such links from a script, such as "
        "https://shop.example.com; * for all.",
    )
    max_in_flight: int = Field(500, gt=0, description="Publishes under way at once; further ones wait.")
    drain_seconds: float = Field(
        5,
        ge=0,
        description="Seconds for which a stopping gateway still takes requests while /readyz is 503: more "
        "than a load balancer needs to notice.",
    )
    grace_seconds: Seconds = Field(
        10, description="Seconds for which a stopping gateway then waits for the requests under way."
    )
    discarded_days: float = Field(
        30,
        gt=0,
        description="Days for which letters that were discarded at the failure desk can be restored.",
    )
    archived_days: float = Field(365, gt=0, description="Days for which archived letters can be restored.")

    @model_validator(mode="after")
    def _store_can_sign(self) -> Self:
        if self.signed_url_seconds is not None and not self.object_store_url.startswith("s3://"):
            raise ValueError("signed_url_seconds needs a bucket: object_store_url=s3://bucket/prefix")
        return self

    @model_validator(mode="after")
    def _is_open_on_purpose(self) -> Self:
        # The address of an inherited socket does not depend on the host; it is checked when the gateway
        # starts.
        if self.listener_fd is None:
            self.require_open_on_purpose(self.host)
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the API, which has the probes too."""
        return self.host, self.port

    def require_open_on_purpose(self, host: str) -> None:
        """Refuses an unintended open gateway.

        Args:
            host: where the gateway listens.

        Raises:
            ValueError: other machines reach it, and every caller may do everything.
        """
        if self.gateway_auth == "open" and not self.gateway_open_to_anyone and not _is_loopback(host):
            raise ValueError(
                f"WAYBILL_GATEWAY_AUTH=open lets every caller who reaches {host} do everything. Use keys, "
                "or set WAYBILL_GATEWAY_OPEN_TO_ANYONE=true as well"
            )

    @property
    def stop_seconds(self) -> float:
        """The longest time from the signal to stop to the end of the process, in seconds."""
        return self.drain_seconds + super().stop_seconds

    def persons(self) -> Persons:
        """The maker of digests of persons.

        Raises:
            ValueError: there is no key, though payloads are sealed.
        """
        return self.digests(is_sealing=self.sealing == "on")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
