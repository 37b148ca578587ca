import os
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from waybill_worker.observe.metrics import make_registry
from waybill_worker.runtime.health import HealthServer


class Checks:
    """Two checks that a test can turn."""

    def __init__(self) -> None:
        self.consuming = True
        self.refusal: str | None = None


@pytest.fixture
async def served() -> AsyncIterator[tuple[httpx.AsyncClient, Checks]]:
    checks = Checks()
    server = HealthServer(
        {"consuming": lambda: checks.consuming, "always": lambda: True},
        make_registry(),
        refusal=lambda: checks.refusal,
        host="127.0.0.1",
        port=0,
        listener_fd=None,
    )
    await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        yield client, checks
    await server.stop()


def never_refused(port: int) -> HealthServer:
    return HealthServer(
        {}, make_registry(), refusal=lambda: None, host="127.0.0.1", port=port, listener_fd=None
    )


async def test_a_process_has_started_once_it_was_ready_whatever_comes_later(
    served: tuple[httpx.AsyncClient, Checks],
) -> None:
    client, checks = served
    checks.consuming = False
    before = await client.get("/startupz")
    checks.consuming = True
    await client.get("/readyz")
    checks.consuming = False  # the broker is away, say
    after = await client.get("/startupz")

    assert (before.status_code, before.json()["status"]) == (503, "starting")
    assert (after.status_code, after.json()["status"]) == (200, "started")


async def test_a_process_that_the_broker_refuses_for_long_is_neither_alive_nor_started(
    served: tuple[httpx.AsyncClient, Checks],
) -> None:
    client, checks = served
    await client.get("/readyz")
    checks.refusal = "the password is wrong"
    answers = [await client.get(path) for path in ("/healthz", "/startupz")]

    assert [(answer.status_code, answer.json()["reason"]) for answer in answers] == [
        (503, "the password is wrong")
    ] * 2


async def test_a_process_is_alive_whatever_its_checks_say(served: tuple[httpx.AsyncClient, Checks]) -> None:
    client, checks = served
    checks.consuming = False
    answer = await client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "alive", "pid": os.getpid()})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("consuming", "status", "word"), [(True, 200, "ready"), (False, 503, "not ready")])
async def test_readiness_follows_the_checks(
    served: tuple[httpx.AsyncClient, Checks],
    consuming: bool,  # noqa: FBT001 - a test's parameter
    status: int,
    word: str,
) -> None:
    client, checks = served
    checks.consuming = consuming
    answer = await client.get("/readyz")

    assert answer.status_code == status
    assert answer.json() == {
        "status": word,
        "pid": os.getpid(),
        "consuming": consuming,
        "always": True,
    }


async def test_who_is_refused_for_long_is_not_healthy(served: tuple[httpx.AsyncClient, Checks]) -> None:
    client, checks = served
    checks.refusal = "no such database"
    answer = await client.get("/healthz")

    assert answer.status_code == 503
    assert answer.json() == {"status": "refused", "pid": os.getpid(), "reason": "no such database"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/nothing"])
async def test_head_is_answered_as_get_without_the_body(
    served: tuple[httpx.AsyncClient, Checks], path: str
) -> None:
    got, head = await served[0].get(path), await served[0].head(path)

    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":  # whose numbers change between two requests
        assert head.headers["content-length"] == str(len(got.content))


async def test_other_paths_say_which_there_are(served: tuple[httpx.AsyncClient, Checks]) -> None:
    answer = await served[0].get("/metrics2")

    assert (answer.status_code, answer.json()["try"]) == (404, "/healthz, /startupz, /readyz or /metrics")


async def test_a_port_that_is_taken_is_an_error_and_no_exit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = never_refused(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await server.start()
        await server.stop()


async def test_the_port_is_free_again_after_stop() -> None:
    server = never_refused(port=0)
    await server.start()
    port = server.port
    await server.stop()
    socket.create_server(("127.0.0.1", port)).close()


async def test_metrics_are_served_as_prometheus_reads_them(
    served: tuple[httpx.AsyncClient, Checks],
) -> None:
    client, _ = served
    answer = await client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name for family in text_string_to_metric_families(answer.text)}
    assert "process_resident_memory_bytes" in families
