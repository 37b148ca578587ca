"""The settings of the object store."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from waybill_worker.runtime import HttpAddress, Seconds


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
