"""How long calls take that may last: transfers of files, and waits."""

import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from clients_under_test import ACCEPTED, Ask, OrderPlaced, Scripted, scripted

from waybill.client import Client
from waybill.problems import UnreachableError

NOWHERE = "http://127.0.0.1:1"
TASK = "01a22a70-ebad-7341-b3c3-5bd5253e4852"


def transfers() -> dict[str, Callable[[Any], Any]]:
    """Calls that may last for ten minutes."""
    return {
        "upload": lambda client: client.upload(b"scan"),
        "download": lambda client: client.download(TASK, "file", io.BytesIO()),
        "image": lambda client: client.submit_image(b"image"),
    }


@pytest.mark.parametrize("name", transfers())
def test_a_transfer_to_a_gateway_that_is_away_ends_at_the_deadline(ask: Ask, name: str) -> None:
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        ask(NOWHERE, transfers()[name], deadline=0.5)

    assert time.monotonic() - began < 3


@pytest.mark.parametrize("name", transfers())
def test_a_transfer_that_fails_late_is_tried_again(ask: Ask, name: str) -> None:
    whole = Scripted(body={"key": "files/default/9f/" + "9f" * 32}) if name == "upload" else Scripted()
    with scripted([Scripted(after=0.6, cut=True), whole]) as gateway:
        ask(gateway.url, transfers()[name], deadline=0.5)

    assert len(gateway.received) == 2


@pytest.mark.parametrize(("parts", "is_whole"), [(1, True), (3, False)])
def test_an_answer_whose_last_part_is_late_is_no_lost_one(parts: int, *, is_whole: bool) -> None:
    class Late(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            body = json.dumps(ACCEPTED).encode()
            for part in range(parts):
                time.sleep(0.3)
                yield body[part * len(body) // parts : (part + 1) * len(body) // parts]

    transport = httpx.MockTransport(lambda _: httpx.Response(202, stream=Late()))
    with Client(NOWHERE, transport=transport) as client:
        if is_whole:
            assert client.submit(OrderPlaced(order_id="17"), deadline=0.2).id == ACCEPTED["id"]
        else:
            with pytest.raises(UnreachableError, match="too long"):
                client.submit(OrderPlaced(order_id="17"), deadline=0.2)


def with_deadlines() -> dict[str, Callable[[Any], Any]]:
    """Calls that may last, with deadlines of their own."""
    return {
        "upload": lambda client: client.upload(b"scan", deadline=0.5),
        "download": lambda client: client.download(TASK, "file", io.BytesIO(), deadline=0.5),
        "variant": lambda client: client.download_variant(TASK, "thumb", io.BytesIO(), deadline=0.5),
        "image": lambda client: client.submit_image(b"image", deadline=0.5),
        "wait": lambda client: client.wait(TASK, timeout=0),
    }


@pytest.mark.parametrize("name", with_deadlines())
def test_a_call_that_may_last_ends_at_a_deadline_of_its_own(ask: Ask, name: str) -> None:
    with scripted([Scripted(after=6)]) as gateway:
        began = time.monotonic()
        with pytest.raises(UnreachableError):
            ask(gateway.url, with_deadlines()[name])

        assert time.monotonic() - began < 3


@pytest.mark.parametrize("timeout", [0, 1])
def test_a_wait_for_a_gateway_that_is_away_ends_in_time(ask: Ask, timeout: float) -> None:
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        ask(NOWHERE, lambda client: client.wait(TASK, timeout=timeout))

    assert time.monotonic() - began < timeout + 2.5


def test_a_wait_without_a_limit_endures_an_outage_of_the_deadline(ask: Ask) -> None:
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        ask(NOWHERE, lambda client: client.wait(TASK), deadline=0.5)

    assert time.monotonic() - began < 3
