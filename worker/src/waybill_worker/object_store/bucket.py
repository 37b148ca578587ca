"""S3 and compatible stores as a backend of the object store."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from obstore.store import S3Store

from waybill_worker.storage import S3Options

if TYPE_CHECKING:
    # They are there for type checkers alone.
    from obstore.store import ClientConfig, RetryConfig, S3Config

#: Seconds to connect to the store; it is tried again within `retry_seconds`.
CONNECT_SECONDS: Final = 5
#: Seconds for one request with its whole body: the reader of a download may be slow.
LONGEST_REQUEST_SECONDS: Final = 600
#: The most times that a request is sent; `retry_seconds` usually ends that earlier.
MOST_RETRIES: Final = 8


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
