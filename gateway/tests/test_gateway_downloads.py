"""A file that the object store breaks off amid its way to a caller, and a store that refuses the gateway."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs
from test_gateway_variants import produced

from waybill_gateway.files.download import Download
from waybill_gateway.http.metrics import GatewayMetrics
from waybill_gateway.http.protocol import HttpLimits, LimitedProtocol
from waybill_testkit.bucket import Bucket
from waybill_testkit.gateway.in_process import problem, running
from waybill_worker.runtime.http_server import HttpServer
from waybill_worker.storage.errors import ObjectMissing, StoreUnavailable


@pytest.mark.parametrize("error", [StoreUnavailable("The object store fails: …"), ObjectMissing("a/key")])
async def test_a_download_that_the_store_breaks_off_is_no_whole_file_to_the_caller(
    error: Exception,
) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"a" * 1000
        raise error

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Download(breaking(), headers={"Content-Length": "2000"})(scope, receive, send)

    metrics = GatewayMetrics(CollectorRegistry())
    http = partial(LimitedProtocol, limits=HttpLimits(10, 8192, 60, 60, 60), metrics=metrics)
    server = HttpServer(app, host="127.0.0.1", port=0, listener_fd=None, http=http, lifespan="off")
    port = await server.start()
    with capture_logs() as lines:
        async with httpx.AsyncClient(trust_env=False) as caller:
            with pytest.raises(httpx.RemoteProtocolError, match="received 1000 bytes, expected 2000"):
                await caller.get(f"http://127.0.0.1:{port}/")
    await server.stop()
    (line,) = lines
    assert (line["log_level"], line["error"]) == ("error", error)
    assert "exc_info" not in line


@pytest.mark.parametrize("signed", [{}, {"signed_url_seconds": 30}])
async def test_a_bucket_that_is_not_there_does_not_make_files_look_gone_for_good(
    tmp_path: Path, bucket: Bucket, signed: dict[str, int]
) -> None:
    async with running(tmp_path, **bucket.settings(), **signed) as gateway:
        task_id, _ = await produced(gateway)
    mistaken = bucket.settings() | {"object_store_url": "s3://no-such-bucket"}
    async with running(tmp_path, **mistaken, **signed) as gateway:
        answer = await gateway.client.get(f"/v1/images/{task_id}/thumb")
        problem(answer, 503, "store_misconfigured")
