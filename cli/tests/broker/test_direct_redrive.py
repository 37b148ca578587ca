"""Redriving straight from the broker, by the real command on the real broker, with a real service behind."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aio_pika.abc import AbstractIncomingMessage
from command_under_test import Ran, ran_apart

from waybill_contracts.kinds.images import ImageUploaded
from waybill_contracts.privacy.seal import Keyring
from waybill_contracts.wire import names
from waybill_contracts.wire.envelope import Envelope
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import email_event, envelope_of, image_event
from waybill_testkit.wire import Wire
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.kind_policies import configured
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.errors import PermanentError
from waybill_worker.service import Service

#: Of the installation; the command has none of them.
KEYS = Keyring([b"k" * 32])
#: Kills the command once the broker has confirmed its third letter, before that is acknowledged.
KILLED_AFTER_CONFIRM = """
import os, signal, sys
from aio_pika.message import IncomingMessage
acknowledge, count = IncomingMessage.ack, 0
async def ack(self, *arguments):
    global count
    count += 1
    if count == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    await acknowledge(self, *arguments)
IncomingMessage.ack = ack
from waybill_cli.main import main
main()
"""
ALL = ("--service", "email", "--service", "images", "--service", "sync")
DEATH = {
    names.HEADER_DEAD_REASON: "exhausted",
    names.HEADER_ERROR_TYPE: "TransientError",
    names.HEADER_ERROR_MESSAGE: "the store is away\x1b[2J",
    names.HEADER_DIED_AT: datetime(2026, 3, 1, tzinfo=UTC).isoformat(),
    names.HEADER_DIED_IN: "images",
    "x-death": [{"count": 3, "queue": "images.work"}],
}


async def ran(url: str, *arguments: str, program: str | Path = "waybill_cli") -> Ran:
    # There is no gateway to say which services there are.
    named = () if "--service" in arguments or arguments[0] not in {"ls", "redrive"} else ALL
    return await ran_apart("dlq", "--direct", url, *arguments, *named, program=program)


async def letter(wire: Wire, service: str = "images", **fields: Any) -> Envelope:
    event = image_event() if service == "images" else email_event()
    envelope = envelope_of(event, attempt=4, max_attempts=4, **fields)
    body = KEYS.sealed_payload(event, envelope.task_id)
    queue = names.dead_letter_queue(service)
    await wire.put(names.EXCHANGE_DEAD_LETTERS, queue, body, envelope.to_headers() | DEATH)
    return envelope


class Effects:
    """A handler that counts what it did."""

    def __init__(self, *, fails: bool = False) -> None:
        self.tasks: list[str] = []
        self._fails = fails

    async def __call__(self, _event: ImageUploaded, attempt: Attempt) -> dict[str, Any]:
        self.tasks.append(attempt.task_id)
        if self._fails:
            raise PermanentError("still broken")
        return {}


@asynccontextmanager
async def images(url: str, folder: Path, effects: Effects) -> AsyncIterator[None]:
    settings = ServiceSettings(amqp_url=url, inbox_url=f"sqlite:///{folder}/inbox.db")
    service = Service("images", settings, (configured(settings, ImageUploaded, effects.__call__),))
    await service.start()
    try:
        yield
    finally:
        await service.stop()


async def test_letters_are_listed_and_stay(topology_url: str, wire: Wire) -> None:
    picture = await letter(wire)
    mail = await letter(wire, "email", redrive_no=2)
    await wire.put("", "sync.dlq", b"nonsense", {})

    listed = await ran(topology_url, "ls", "--json")

    assert listed.code == 0, listed.err
    by_service = {line["service"]: line for line in listed.lines}
    assert by_service["images"]["task_id"] == picture.task_id
    assert by_service["images"]["verdict"] == "valid"
    assert by_service["email"]["redrive_no"] == 2
    assert by_service["sync"]["verdict"] == "unfixable"
    assert by_service["sync"]["faults"][0]["field"] == "headers"
    only = await ran(topology_url, "ls", "--service", "email", "--service", "images", "--task", mail.task_id)
    assert [line.split()[1] for line in only.out.splitlines()[1:]] == [mail.task_id]
    assert "\x1b" not in only.out
    for queue in ("images.dlq", "email.dlq", "sync.dlq"):
        await holds(wire, queue, 1)


async def holds(wire: Wire, queue: str, count: int) -> None:
    """Waits until so many are ready in a queue: what was taken comes back shortly after."""

    async def does() -> bool:
        return await wire.ready(queue) == count

    await eventually(does)


async def test_a_redriven_letter_carries_our_headers_alone(topology_url: str, wire: Wire) -> None:
    dead = await letter(wire, deadline=datetime.now(UTC) - timedelta(hours=1), redrive_no=1, edit_no=1)

    done = await ran(topology_url, "redrive", "--yes", "--json")

    assert (done.code, done.lines) == (0, [{"sent": 1, "left": {}}])
    assert "there is no check" in done.err
    message = await wire.take("images.work")
    # The broker itself counts the deliveries of this one.
    ours = {name: value for name, value in message.headers.items() if name != "x-delivery-count"}
    assert ours == dead.redriven().to_headers()
    assert (message.headers["x-redrive-no"], message.headers["x-attempt"]) == (2, 1)
    assert message.correlation_id == "order-7"
    assert ImageUploaded.model_validate_json(message.body) == image_event()
    assert await wire.ready("images.dlq") == 0


async def test_what_is_not_asked_for_or_fits_no_contract_is_left(topology_url: str, wire: Wire) -> None:
    wanted = await letter(wire)
    await letter(wire)
    await letter(wire, dataschema="urn:waybill:image.uploaded:v9")

    done = await ran(topology_url, "redrive", "--task", wanted.task_id, "--yes")
    assert (done.code, done.out) == (0, "sent 1\nleft 2: not selected\n")
    everything = await ran(topology_url, "redrive", "--yes")
    assert (everything.code, everything.out) == (1, "sent 1\nleft 1: unfixable\n")
    await holds(wire, "images.dlq", 1)


async def test_a_limit_sends_so_many(topology_url: str, wire: Wire) -> None:
    for _ in range(3):
        await letter(wire)
    assert (await ran(topology_url, "redrive", "--limit", "2", "--yes")).out.splitlines()[0] == "sent 2"
    await holds(wire, "images.dlq", 1)


async def test_nothing_is_sent_unasked(topology_url: str, wire: Wire) -> None:
    await letter(wire)
    asked = await ran(topology_url, "redrive")
    assert asked.code == 2
    assert "1 of images" in asked.err
    assert await wire.ready("images.dlq") == 1


async def test_killed_between_confirm_and_ack_nothing_is_lost_and_no_effect_doubled(
    topology_url: str, wire: Wire, tmp_path: Path
) -> None:
    dead = [await letter(wire) for _ in range(5)]
    program = tmp_path / "killed.py"
    program.write_text(KILLED_AFTER_CONFIRM)
    killed = await ran(topology_url, "redrive", "--yes", program=program)
    assert killed.code == -9
    # Two are acknowledged; the third is both sent and still there.
    assert await wire.ready("images.work") == 3
    await holds(wire, "images.dlq", 3)

    again = await ran(topology_url, "redrive", "--yes")

    assert (again.code, again.out) == (0, "sent 3\n")
    assert await wire.ready("images.work") == 6
    effects = Effects()
    async with images(topology_url, tmp_path, effects):
        await eventually(lambda: len(effects.tasks) == 5)
        # All six are taken: the double, too, has been looked at by the time that the service has stopped.
        await holds(wire, "images.work", 0)
    await holds(wire, "images.work", 0)
    assert sorted(effects.tasks) == sorted(envelope.task_id for envelope in dead)
    assert await wire.ready("images.dlq") == 0


async def test_what_dies_again_meanwhile_is_not_chased(topology_url: str, wire: Wire, tmp_path: Path) -> None:
    dead = {(await letter(wire)).task_id for _ in range(20)}
    effects = Effects(fails=True)
    async with images(topology_url, tmp_path, effects):
        done = await ran(topology_url, "redrive", "--rate", "50", "--yes")
        await eventually(lambda: len(effects.tasks) == 20)
        await holds(wire, "images.dlq", 20)
    assert done.out.splitlines()[0] == "sent 20"
    assert set(effects.tasks) == dead
    listed = await ran(topology_url, "ls", "--json")
    assert {line["redrive_no"] for line in listed.lines} == {1}


async def test_a_broker_that_is_away_or_refuses_is_told_without_its_password(topology_url: str) -> None:
    away = await ran("amqp://ann:s3cret@127.0.0.1:1/", "ls")
    assert (away.code, away.out) == (3, "")
    assert "s3cret" not in away.err
    assert "127.0.0.1:1" in away.err
    refused = await ran(topology_url.replace("guest:guest@", "guest:wr0ng@"), "ls")
    assert refused.code == 4
    assert "refuses user, password or virtual host" in refused.err


async def test_letters_that_the_desk_takes_are_said_to_be_elsewhere(topology_url: str, wire: Wire) -> None:
    assert "failure desk consumes" not in (await ran(topology_url, "ls")).err
    queue = await wire.channel.get_queue("images.dlq", ensure=False)

    async def keep(_message: AbstractIncomingMessage) -> None:
        """As the desk with a ledger that is away: taken, and not acknowledged."""

    await queue.consume(keep)
    assert "failure desk consumes" in (await ran(topology_url, "ls")).err


async def test_the_desk_commands_are_not_offered_there(topology_url: str) -> None:
    assert (await ran(topology_url, "plan")).code == 2
