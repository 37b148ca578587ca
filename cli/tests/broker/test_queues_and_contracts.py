"""Looking at a real broker: nothing that is looked at may get lost, doubled, or come early."""

import time
from typing import Any

from command_under_test import ran_apart

from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.wire import names
from waybill_contracts.wire.envelope import Envelope
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import email_event, envelope_of
from waybill_testkit.wire import Wire
from waybill_worker.broker.delay_ladder import ladder_entry

#: Longer than the command takes to start and look, so that it finds the message on its way.
DELAY_SECONDS = 8
#: There is no gateway to say which services there are.
ALL = ("--service", "email", "--service", "images", "--service", "sync")


async def ran(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    done = await ran_apart(*arguments, "--json")
    return done.code, done.lines, done.err


async def put(wire: Wire, exchange: str, key: str, payload: bytes, **fields: Any) -> Envelope:
    envelope = envelope_of(email_event(), **fields)
    await wire.put(exchange, key, payload, envelope.to_headers())
    return envelope


BODY = email_event().model_dump_json(exclude_defaults=True).encode()


async def test_queues_tell_what_waits_and_who_does_not_consume(topology_url: str, wire: Wire) -> None:
    await wire.put("", "email.dlq", b"x", {}, copies=3)
    code, lines, _ = await ran("queues", "--amqp", topology_url, *ALL)
    found = {line["queue"]: line for line in lines}
    assert code == 1
    assert (found["email.dlq"]["ready"], found["email.dlq"]["in_trouble"]) == (3, False)
    assert found["email.work"]["remark"] == "no consumer"
    assert "delay.00" not in found
    _, everything, _ = await ran("queues", "--amqp", topology_url, "--all", *ALL)
    assert len(everything) > len(lines)


async def test_a_queue_that_is_missing_is_told(topology_url: str, wire: Wire) -> None:
    await wire.channel.queue_delete("unrouted")
    _, lines, _ = await ran("queues", "--amqp", topology_url, *ALL)
    assert [line["queue"] for line in lines if line["remark"] == "missing"] == ["unrouted"]


async def test_contracts_are_held_against_what_waits_and_all_of_it_stays(
    topology_url: str, wire: Wire
) -> None:
    entry = ladder_entry(DELAY_SECONDS, "email.work")
    published_at = time.monotonic()
    waits = await put(wire, entry.exchange, entry.routing_key, BODY)
    await put(wire, "", "email.dlq", BODY)
    await put(wire, "", "email.dlq", b'{"to": "nobody"}')
    await put(wire, "", "unrouted", BODY, dataschema="urn:waybill:email.requested:v9")
    await wire.put("", "status.dlq", b"[]", {"content": "lifecycle"})

    code, lines, err = await ran("contracts", "check", "--against", topology_url, *ALL)

    assert code == 1, err
    found = {(line["where"], line["verdict"]): line["count"] for line in lines}
    assert found == {
        ("email.dlq", "valid"): 1,
        ("email.dlq", "unfixable"): 1,
        ("unrouted", "unfixable"): 1,
        (entry.exchange, "valid"): 1,
    }
    message = await wire.take("email.work")
    assert message.headers[names.HEADER_TASK_ID] == waits.task_id
    assert time.monotonic() - published_at >= DELAY_SECONDS
    assert EmailRequested.model_validate_json(message.body) == email_event()

    async def all_are_back() -> bool:
        return [await wire.ready(queue) for queue in ("email.dlq", "unrouted", "status.dlq")] == [2, 1, 1]

    await eventually(all_are_back)


async def test_a_queue_that_holds_more_is_looked_at_in_part(topology_url: str, wire: Wire) -> None:
    for _ in range(3):
        await put(wire, "", "email.dlq", BODY)
    code, lines, err = await ran("contracts", "check", "--against", topology_url, "--limit", "2", *ALL)
    assert (code, lines[0]["count"]) == (0, 2)
    assert "email.dlq holds 3; the first 2 were checked" in err
