"""A bucket of a server that speaks S3, for tests."""

from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import httpx

from waybill_worker.storage.object_store import ObjectStore
from waybill_worker.storage.s3 import ObjectStoreSettings

#: Such a server takes any, but whoever signs needs some.
_KEY, _SECRET = "a-key", "a-secret"


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where it is."""

    endpoint: str
    name: str

    @classmethod
    def made(cls, endpoint: str) -> Self:
        """Makes a bucket that nobody else has."""
        bucket = cls(endpoint, f"bucket-{uuid4().hex}")
        httpx.put(f"{endpoint}/{bucket.name}").raise_for_status()
        return bucket

    @property
    def url(self) -> str:
        """Where in the bucket files are kept."""
        return f"s3://{self.name}/some/where"

    def settings(self) -> dict[str, Any]:
        """The settings of a process that keeps its files there."""
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
