"""Files, images and schedules with a real gateway."""

import hashlib
import io
import re
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from clients_under_test import Ask, Scripted, problem, scripted

from waybill import AsyncClient
from waybill.kinds import EmailRequested
from waybill.problems import (
    NameTakenError,
    NoSuchFileError,
    NoSuchScheduleError,
    NotAnImageError,
    NotEndedError,
    NotProducedYetError,
    TokenUnknownError,
    UnexpectedAnswerError,
)
from waybill_contracts.files import results_of
from waybill_contracts.wire import LifecycleType
from waybill_testkit.gateway.served import Served
from waybill_testkit.photograph import make_photograph
from waybill_testkit.samples import reported

MAIL = EmailRequested(to="ada@example.com", subject="Hello", text="Good morning.")
LARGE = bytes(range(256)) * 4096
ID = "01a22a70-ebad-7341-b3c3-5bd5253e4852"


class Pipe(io.RawIOBase):
    """A target that takes bytes once, as a socket does."""

    def __init__(self) -> None:
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, chunk: Any) -> int:
        self.taken += bytes(chunk)
        return len(chunk)


def with_file(gateway: Served, folder: Path, task_id: str, name: str, content: bytes) -> None:
    """Has the service complete the task with a file."""
    sha256 = hashlib.sha256(content).hexdigest()
    key = f"{results_of(task_id)}/{sha256[:2]}/{sha256}"
    path = folder / "objects" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    file = {"key": key, "sha256": sha256, "size_bytes": len(content), "content_type": "text/plain"}
    gateway.happened(
        reported(LifecycleType.COMPLETED, task_id, result={"files": {name: file}}, has_files=True)
    )


def test_a_file_is_uploaded_from_a_path_bytes_and_an_open_file(
    ask: Ask, gateway: Served, tmp_path: Path
) -> None:
    path = tmp_path / "scan.pdf"
    path.write_bytes(LARGE)
    opened = io.BytesIO(b"before" + LARGE)
    opened.seek(6)

    by_path = ask(gateway.url, lambda client: client.upload(path))
    by_bytes = ask(gateway.url, lambda client: client.upload(LARGE, name="a b.pdf"))
    by_file = ask(gateway.url, lambda client: client.upload(opened, content_type="image/png"))

    assert by_path.key == by_bytes.key == by_file.key
    assert by_path.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert (by_path.name, by_path.content_type) == ("scan.pdf", "application/pdf")
    assert (by_bytes.name, by_file.content_type) == ("a b.pdf", "image/png")


def test_an_upload_is_repeated_from_its_start(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    path.write_bytes(LARGE)
    stored = {"key": "files/default/9f/" + "9f" * 32}
    with scripted([problem(503, "store_unavailable"), Scripted(201, stored)]) as gateway:
        ask(gateway.url, lambda client: client.upload(path))

    assert [received.body for received in gateway.received] == [LARGE, LARGE]
    assert gateway.received[0].headers["content-length"] == str(len(LARGE))
    assert "transfer-encoding" not in gateway.received[0].headers


def test_a_file_of_a_task_is_listed_and_downloaded(ask: Ask, gateway: Served, tmp_path: Path) -> None:
    task = ask(gateway.url, lambda client: client.submit(MAIL))
    with pytest.raises(NotProducedYetError):
        ask(gateway.url, lambda client: client.download(task.id, "report.txt", io.BytesIO()))
    with_file(gateway, tmp_path, task.id, "report.txt", LARGE)
    target, opened = tmp_path / "report.txt", io.BytesIO()

    [file] = ask(gateway.url, lambda client: client.files(task.id))
    assert (file.name, file.size_bytes, file.service) == ("report.txt", len(LARGE), "email")
    assert ask(gateway.url, lambda client: client.download(task.id, file.name, target)) == len(LARGE)
    ask(gateway.url, lambda client: client.download(task.id, file.name, opened, service="email"))
    assert target.read_bytes() == opened.getvalue() == LARGE
    with pytest.raises(NoSuchFileError):
        ask(gateway.url, lambda client: client.download(task.id, "nothing.txt", target))
    assert target.read_bytes() == LARGE
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_a_download_that_breaks_off_begins_again(ask: Ask, tmp_path: Path) -> None:
    broken = Scripted(200, b"half", {"Content-Length": "8", "Connection": "close"})
    with scripted([broken, Scripted(200, b"the whole")]) as gateway:
        target, opened = tmp_path / "file", io.BytesIO(b"kept: ")
        opened.seek(6)
        ask(gateway.url, lambda client: client.download(ID, "file", target))
        gateway.received.clear()
        ask(gateway.url, lambda client: client.download(ID, "file", opened))

    assert target.read_bytes() == b"the whole"
    assert opened.getvalue() == b"kept: the whole"


def test_what_was_written_to_a_pipe_is_not_written_again(ask: Ask) -> None:
    broken = Scripted(200, b"half", {"Content-Length": "8", "Connection": "close"})
    pipe = Pipe()
    with scripted([broken, Scripted(200, b"the whole")]) as gateway, pytest.raises(Exception, match="answer"):
        ask(gateway.url, lambda client: client.download(ID, "file", pipe))

    assert pipe.taken == b"half"


def test_an_image_is_submitted(ask: Ask, gateway: Served, tmp_path: Path) -> None:
    path = tmp_path / "photograph.jpg"
    make_photograph(path)
    accepted = ask(
        gateway.url, lambda client: client.submit_image(path, ["thumb"], key="photo-1", priority="high")
    )
    again = ask(
        gateway.url,
        lambda client: client.submit_image(
            path.read_bytes(), ["thumb"], name=path.name, key="photo-1", priority="high"
        ),
    )
    task = ask(gateway.url, lambda client: client.get(accepted.id))

    assert again.id == accepted.id
    assert (task.kind, task.about, task.priority) == ("image.uploaded", "photograph.jpg", "high")
    with pytest.raises(NotProducedYetError):
        ask(gateway.url, lambda client: client.download_variant(accepted.id, "thumb", io.BytesIO()))
    with pytest.raises(NotAnImageError):
        ask(gateway.url, lambda client: client.submit_image(b"no image"))


def test_an_image_is_read_from_where_its_file_stands(ask: Ask) -> None:
    opened = io.BytesIO(b"before" + b"image")
    opened.seek(6)
    with scripted([problem(503, "store_unavailable"), Scripted()]) as gateway:
        ask(gateway.url, lambda client: client.submit_image(opened, ["thumb", "large"], name="a.png"))

    first, again = gateway.received
    boundary = first.headers["content-type"].partition("boundary=")[2].encode()
    parts = first.body.split(b"--" + boundary)
    assert [part.partition(b"\r\n\r\n")[2].strip() for part in parts[1:-1]] == [b"thumb", b"large", b"image"]
    assert b'filename="a.png"\r\nContent-Type: image/png' in parts[3]
    assert first.headers["content-length"] == str(len(first.body))
    assert again.body.replace(b"\r\n", b"").endswith(b"--")
    assert b"before" not in again.body


async def test_no_file_is_touched_on_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_loop: list[str] = []
    loop = threading.get_ident()

    def noted(function: Any) -> Any:
        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            if threading.get_ident() == loop:
                on_the_loop.append(function.__qualname__)
            return function(*arguments, **named)

        return call

    class Watched(io.BytesIO):
        read, write, seek = noted(io.BytesIO.read), noted(io.BytesIO.write), noted(io.BytesIO.seek)
        tell, truncate = noted(io.BytesIO.tell), noted(io.BytesIO.truncate)

    for name in ("open", "replace", "unlink"):
        monkeypatch.setattr(Path, name, noted(getattr(Path, name)))
    key, path = tmp_path / "key", tmp_path / "file"
    key.write_text("wb_1")
    path.write_bytes(LARGE)
    on_the_loop.clear()
    stored = Scripted(201, {"key": "files/default/9f/" + "9f" * 32})
    half = Scripted(200, b"half", {"Content-Length": "8", "Connection": "close"})
    with scripted([stored, stored, Scripted(), Scripted(), half, Scripted(200, LARGE)]) as gateway:
        async with AsyncClient(gateway.url, api_key=key) as client:
            await client.upload(path)
            await client.upload(Watched(LARGE))
            await client.submit_image(path)
            await client.submit_image(Watched(LARGE))
            await client.download(ID, "file", target := Watched())
            await client.download(ID, "file", tmp_path / "copy")

    assert on_the_loop == []
    assert len(gateway.received) == 7
    assert target.getvalue() == (tmp_path / "copy").read_bytes() == LARGE


def test_a_task_is_waited_for(ask: Ask, gateway: Served) -> None:
    accepted = ask(gateway.url, lambda client: client.submit(MAIL))
    with pytest.raises(NotEndedError, match="pending"):
        ask(gateway.url, lambda client: client.wait(accepted.id, timeout=0.2))
    completes = threading.Timer(0.5, gateway.happened, [reported(LifecycleType.COMPLETED, accepted.id)])
    completes.start()
    began = time.monotonic()
    task = ask(gateway.url, lambda client: client.wait(accepted.id, timeout=30))

    completes.join()
    assert (task.state, task.result) == ("completed", {"done": True})
    assert 0.3 < time.monotonic() - began < 10


def test_a_schedule_is_made_changed_and_deleted(ask: Ask, gateway: Served) -> None:
    def schedules(use: Any) -> Any:
        return ask(gateway.url, lambda client: use(client.schedules))

    made = schedules(lambda s: s.create("daily", MAIL, cron="0 8 * * *", timezone="Europe/Berlin"))
    beat = schedules(lambda s: s.create("beat", "email.requested", MAIL.event_data(), every_seconds=3600))
    with pytest.raises(NameTakenError):
        schedules(lambda s: s.create("daily", MAIL, every_seconds=60))

    assert (made.kind, made.cron, len(made.next) > 0) == ("email.requested", "0 8 * * *", True)
    assert [each.name for each in schedules(lambda s: s.list())] == ["beat", "daily"]
    assert [each.id for each in schedules(lambda s: s.list(name="daily", limit=1))] == [made.id]
    assert schedules(lambda s: s.change(made.id, paused=True)).paused
    other = EmailRequested(to="bob@example.com", subject="Hello", text="Good evening.")
    assert schedules(lambda s: s.change(beat.id, body=other)).updated_at > beat.updated_at
    assert schedules(lambda s: s.get(made.id)).last_tasks == []
    assert schedules(lambda s: s.delete(made.id)) is None
    with pytest.raises(NoSuchScheduleError):
        schedules(lambda s: s.get(made.id))


def wrongly_named() -> dict[str, Callable[[Any], Any]]:
    """Calls with an id or a name that is none, by what their error says."""
    return {
        "'x' is no task id": lambda client: client.get("x"),
        "'../kinds' is no task id": lambda client: client.download("../kinds", "file", io.BytesIO()),
        "7 is no schedule id": lambda client: client.schedules.get(7),
        "'..' is no name": lambda client: client.download(ID, "..", io.BytesIO()),
        "'' is no name": lambda client: client.kind(""),
    }


@pytest.mark.parametrize("said", wrongly_named())
def test_an_id_or_name_that_is_none_is_refused_in_words(ask: Ask, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        ask("http://127.0.0.1:1", wrongly_named()[said])


def test_kinds_and_the_account_are_read(ask: Ask, gateway: Served) -> None:
    ask(gateway.url, lambda client: client.submit(MAIL))
    kinds = ask(gateway.url, lambda client: client.kinds(service="email"))
    kind = ask(gateway.url, lambda client: client.kind("email.requested"))
    account = ask(gateway.url, lambda client: client.account())

    assert "email.requested" in [each.name for each in kinds]
    assert kind.contracts[-1].data["type"] == "object"
    assert kind.handlers[0].service == "email"
    assert account.balanced
    assert account.kinds["email.requested"].accepted == 1


def test_any_other_call_can_be_made(ask: Ask, gateway: Served) -> None:
    groups = ask(
        gateway.url,
        lambda client: client.call("GET", "/v1/dead-letters/groups", params={"limit": 1, "q": None}),
    )
    assert groups == {"items": [], "next_cursor": None}
    with pytest.raises(TokenUnknownError):
        ask(gateway.url, lambda client: client.redeem_password_reset("a" * 43))


def test_a_call_without_a_key_is_not_repeated_blindly(ask: Ask) -> None:
    lost, refused = Scripted(cut=True), problem(503, "overloaded", headers={"Retry-After": "0"})
    with scripted([refused, lost]) as gateway, pytest.raises(Exception, match="did not answer"):
        ask(gateway.url, lambda client: client.call("POST", "/v1/redrives", {"ids": [1]}))

    assert len(gateway.received) == 2


def test_an_answer_that_is_no_json_is_none_of_a_gateway(ask: Ask) -> None:
    with scripted([Scripted(200, b"<html>")]) as gateway, pytest.raises(UnexpectedAnswerError):
        ask(gateway.url, lambda client: client.call("GET", "/v1/anything"))
