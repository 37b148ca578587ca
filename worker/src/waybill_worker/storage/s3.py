"""S3 and compatible stores as a backend of the object store."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from obstore.store import S3Store
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from waybill_worker.runtime import HttpAddress, Seconds

if TYPE_CHECKING:
    # They are there for type checkers alone.
    from obstore.store import ClientConfig, RetryConfig, S3Config

#: Seconds to connect to the store; it is tried again within `retry_seconds`.
CONNECT_SECONDS: Final = 5
#: Seconds for one request with its whole body: the reader of a download may be slow.
LONGEST_REQUEST_SECONDS: Final = 600
#: The most times that a request is sent; `retry_seconds` usually ends that earlier.
MOST_RETRIES: Final = 8


@dataclass(frozen=True, slots=True)
class S3Options:
    """How a bucket is reached. None: by AWS' environment variables and instance roles."""

    endpoint: str | None = None
    region: str | None = None
    virtual_hosted: bool = False
    #: The key's id and its secret.
    credentials: tuple[str, str] | None = None
    #: Certificates as PEM that are trusted besides the system's.
    ca: bytes | None = None
    #: Seconds for an answer, or its next part; the largest request is a part of an upload (5 MB).
    timeout_seconds: float = 30
    #: Seconds after which no request is tried again.
    retry_seconds: float = 20
    #: Address at which callers reach the store, if it differs from ours.
    public_endpoint: str | None = None

    def public(self) -> Self | None:
        """The options by which callers reach it; None: equal to ours."""
        if self.public_endpoint is None:
            return None
        return type(self)(
            endpoint=self.public_endpoint,
            region=self.region,
            virtual_hosted=self.virtual_hosted,
            credentials=self.credentials,
        )


class StoreSettings(BaseSettings):
    """Settings of processes that may store or read files."""

    object_store_url: str | None = Field(
        None, description="Store of files: file:///folder, s3://bucket or s3://bucket/prefix; none: no files."
    )
    s3_endpoint: HttpAddress | None = Field(
        None, description="Address of a compatible store, such as https://minio:9000; none: AWS."
    )
    s3_public_endpoint: HttpAddress | None = Field(
        None, description="Its address for callers, if that differs; signed addresses begin with it."
    )
    s3_region: str | None = Field(None, description="None: from AWS' environment variables, or us-east-1.")
    s3_virtual_hosted: bool = Field(
        default=False,
        description="The bucket is part of the host name, also of s3_endpoint; otherwise of the path.",
    )
    s3_access_key_id: SecretStr | None = Field(
        None, description="None: from AWS' environment variables, or the role of the instance or container."
    )
    s3_secret_access_key: SecretStr | None = None
    s3_ca_file: Path | None = Field(
        None, description="Certificates in PEM that are trusted besides the system's."
    )
    s3_timeout_seconds: Seconds = Field(30, description="How long the store may be silent.")
    s3_retry_seconds: Seconds = Field(20, description="Time after which no request is tried again.")

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> Self:
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError(
                "s3_access_key_id and s3_secret_access_key belong together: give both, or neither"
            )
        return self

    def s3_options(self) -> S3Options:
        """How a bucket is reached.

        Raises:
            OSError: `s3_ca_file` cannot be read.
        """
        key, secret = self.s3_access_key_id, self.s3_secret_access_key
        return S3Options(
            endpoint=self.s3_endpoint,
            region=self.s3_region,
            virtual_hosted=self.s3_virtual_hosted,
            credentials=(key.get_secret_value(), secret.get_secret_value()) if key and secret else None,
            ca=self.s3_ca_file.read_bytes() if self.s3_ca_file else None,
            timeout_seconds=self.s3_timeout_seconds,
            retry_seconds=self.s3_retry_seconds,
            public_endpoint=self.s3_public_endpoint,
        )


class ObjectStoreSettings(StoreSettings):
    """Settings of processes that store or read files."""

    object_store_url: str = Field(
        description="Store of files: file:///folder, s3://bucket or s3://bucket/prefix."
    )


def open_bucket(url: str, options: S3Options) -> S3Store:
    """A bucket; nothing is sent yet.

    Args:
        url: `s3://bucket/prefix`.
        options: how to reach it.

    Raises:
        obstore.exceptions.BaseError: the options contradict each other, or a certificate is invalid.
    """
    # Every compatible store can delete one object; not all can delete many at once.
    config: S3Config = {"virtual_hosted_style_request": options.virtual_hosted, "disable_bulk_delete": True}
    if options.endpoint is not None:
        config["endpoint"] = options.endpoint
    if options.region is not None:
        config["region"] = options.region
    if options.credentials is not None:
        config["access_key_id"], config["secret_access_key"] = options.credentials
    client: ClientConfig = {
        # http:// is allowed if it was given; AWS' own addresses are https.
        "allow_http": (options.endpoint or "").startswith("http://"),
        "connect_timeout": timedelta(seconds=min(CONNECT_SECONDS, options.timeout_seconds)),
        "read_timeout": timedelta(seconds=options.timeout_seconds),
        "timeout": timedelta(seconds=max(LONGEST_REQUEST_SECONDS, options.timeout_seconds)),
    }
    if options.ca is not None:
        client["root_certificate"] = options.ca
    retry: RetryConfig = {
        "max_retries": MOST_RETRIES,
        "retry_timeout": timedelta(seconds=options.retry_seconds),
    }
    return S3Store.from_url(url, config=config, client_options=client, retry_config=retry)
