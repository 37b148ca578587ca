"""A bucket of an S3 server, for tests."""

from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import httpx

from waybill_worker.object_store import ObjectStore
from waybill_worker.storage import ObjectStoreSettings

#: The server accepts any, but a client needs some to sign with.
_KEY, _SECRET = "a-key", "a-secret"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket: its server and name."""

    endpoint: str
    name: str

    @classmethod
    def made(cls, endpoint: str) -> Self:
        """Makes a new bucket."""
        bucket = cls(endpoint, f"bucket-{uuid4().hex}")
        httpx.put(f"{endpoint}/{bucket.name}", trust_env=False, verify=False).raise_for_status()  # noqa: S501 - by HTTP
        return bucket

    @property
    def url(self) -> str:
        """URL of the folder in the bucket."""
        return f"s3://{self.name}/some/where"

    def settings(self) -> dict[str, Any]:
        """Settings of a process that keeps its files there."""
        return {
            "object_store_url": self.url,
            "s3_endpoint": self.endpoint,
            "s3_region": "eu-central-1",
            "s3_access_key_id": _KEY,
            "s3_secret_access_key": _SECRET,
        }

    def store(self, **changes: Any) -> ObjectStore:
        """The store that a process with these settings has; `changes` are those that differ."""
        settings = ObjectStoreSettings(**(self.settings() | changes))
        return ObjectStore.from_url(settings.object_store_url, settings.s3_options())
