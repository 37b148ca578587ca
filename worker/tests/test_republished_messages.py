from datetime import UTC, datetime

from waybill_contracts.wire.envelope import Envelope
from waybill_contracts.wire.lifecycle import DeadReason, ErrorInfo
from waybill_testkit.samples import email_event, envelope_of
from waybill_worker.broker.delivery import Delivery
from waybill_worker.failure_location import FailureLocation
from waybill_worker.publish.republish import dead_letter, later

AT = datetime(2026, 1, 1, tzinfo=UTC)
BROKERS_OWN = {
    "x-death": [{"queue": "delay.01", "count": 1, "reason": "expired"}],
    "x-first-death-queue": "delay.01",
    "x-last-death-reason": "expired",
    "x-delivery-count": 3,
    "x-acquired-count": 4,
    "CC": ["elsewhere"],
    "BCC": ["elsewhere"],
}


class _Nowhere:
    is_lost = False

    async def ack(self) -> None:
        raise AssertionError("nothing is acknowledged here")


def delivery(headers: dict[str, object], body: bytes = b"{}") -> Delivery:
    return Delivery(body, headers, "order-7", 7, _Nowhere())


def test_a_later_attempt_carries_our_headers_alone() -> None:
    envelope = envelope_of(email_event())
    message = later(
        "email", delivery(envelope.to_headers() | BROKERS_OWN | {"x-strange": 1}), envelope.next_attempt(6), 5
    )

    assert Envelope.from_headers(message.headers) == envelope.next_attempt(6)
    assert message.headers.keys() == envelope.next_attempt(6).to_headers().keys()
    assert (message.exchange, message.correlation_id, message.priority) == ("delay.02", "order-7", 7)
    assert message.routing_key.endswith(".1.0.1.email.work")


def test_a_dead_letter_keeps_what_came_but_the_brokers_own() -> None:
    headers = envelope_of(email_event()).to_headers() | {"x-strange": 1}
    info = ErrorInfo(type="PermanentError", message="x" * 2000)
    message = dead_letter(
        "email", delivery(headers | BROKERS_OWN, b"\xff\x00"), info, DeadReason.PERMANENT, AT
    )

    assert message.body == b"\xff\x00"
    assert {name: message.headers[name] for name in headers} == headers
    assert message.headers.keys() - headers.keys() == {
        "x-dead-reason",
        "x-error-type",
        "x-error-message",
        "x-died-at",
        "x-died-in",
        "x-service-version",
    }
    assert (message.headers["x-dead-reason"], message.headers["x-died-in"]) == ("permanent", "email")
    assert len(message.headers["x-error-message"]) == 1000
    assert message.headers["x-service-version"] == "0.2.0"
    assert (message.exchange, message.routing_key) == ("dlx", "email.dlq")


def test_a_dead_letter_tells_where_in_the_code_it_died() -> None:
    where = FailureLocation(traceback="Traceback …", frame="waybill_email.mailer:send")
    info = ErrorInfo(type="PermanentError", message="refused")
    message = dead_letter("email", delivery({}), info, DeadReason.PERMANENT, AT, where)

    assert message.headers["x-traceback"] == "Traceback …"
    assert message.headers["x-error-frame"] == "waybill_email.mailer:send"


def test_a_dead_letter_that_dies_again_tells_nothing_of_its_first_death() -> None:
    first = {"x-traceback": "old", "x-error-frame": "old", "x-dead-reason": "old", "x-strange": 1}
    info = ErrorInfo(type="PermanentError", message="refused")
    message = dead_letter("email", delivery(first), info, DeadReason.DEADLINE, AT)

    assert "old" not in message.headers.values()
    assert message.headers["x-strange"] == 1
