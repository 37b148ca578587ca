"""Uploads that want very much of the gateway: it stays small and quick, and the next upload is taken."""

import asyncio
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from time import monotonic

import httpx
import pytest

from tests.hostile.hostile_pictures import empty_texts, interlaced, png
from waybill_testkit.empty_ledger import empty_ledger
from waybill_testkit.gateway.in_process import problem
from waybill_testkit.gateway.process import PATIENCE, Running, gateway

#: What the process that serves may use, whatever is uploaded; and each of those that decode.
OWN_MEMORY, PROBE_MEMORY = 200 * 1024**2, 400 * 1024**2
#: Seconds of processor time for a probe; the interlaced picture takes two.
PROBE_SECONDS = 1

packed = cache(interlaced)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "ledger.db").write_bytes(empty_ledger())
    settings = {"image_probe_bytes": str(PROBE_MEMORY), "image_probe_cpu_seconds": str(PROBE_SECONDS)}
    with gateway(folder, f"sqlite:///{folder}/ledger.db", **settings) as running:
        yield running


@pytest.fixture
def client(served: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.address, timeout=PATIENCE, trust_env=False) as client:
        yield client
        assert upload(client, png()).status_code == 202
    assert "request failed" not in served.log.read_text()


def upload(client: httpx.Client, data: bytes) -> httpx.Response:
    return client.post("/v1/images", files={"file": ("x.png", data)}, data={"variants": "thumb"})


def most_memory(pid: int) -> int:
    """What a process had at the most, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def test_very_many_empty_texts_are_no_work_and_no_lines_in_the_log(
    served: Running, client: httpx.Client
) -> None:
    upload(client, png())  # starts a worker
    before, began = served.log.read_text().count("\n"), monotonic()
    answer = upload(client, empty_texts())

    assert answer.status_code == 202, answer.text
    assert monotonic() - began < PATIENCE / 4
    assert served.log.read_text().count("\n") - before < 10


async def test_what_unpacks_to_very_much_is_refused_and_leaves_the_gateway_small(
    served: Running, client: httpx.Client
) -> None:
    answers = await asyncio.gather(*(asyncio.to_thread(upload, client, packed()) for _ in range(4)))

    for answer in answers:
        assert "Send a smaller one." in problem(answer, 422, "too_costly")["detail"]
    assert most_memory(served.pid) < OWN_MEMORY
    assert [pid for pid in children(served.pid) if most_memory(pid) > PROBE_MEMORY] == []


def test_the_process_that_serves_never_loads_what_decodes(served: Running, client: httpx.Client) -> None:
    assert upload(client, png()).status_code == 202

    assert "vips" not in Path(f"/proc/{served.pid}/maps").read_text()
