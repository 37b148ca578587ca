"""The first step: decodes body and headers into an event that fits its contract."""

from collections.abc import Mapping

from waybill_contracts.privacy import Keyring, UnknownKeyError
from waybill_contracts.versions import InvalidPayloadError, opener, read_event
from waybill_contracts.wire import Envelope, EnvelopeError
from waybill_worker.attempt import Handler, Work
from waybill_worker.broker import Delivery


class UnreadableError(Exception):
    """The service cannot read the message; no retry will change that."""

    def __init__(self, message: str, envelope: Envelope | None = None) -> None:
        super().__init__(message)
        #: Its envelope, if that could be read: enough to report the subtask as dead.
        self.envelope = envelope


def decode(delivery: Delivery, handlers: Mapping[str, Handler], keyring: Keyring) -> Work:
    """Reads a delivery, of the current version or of an older one that can be upcast.

    Args:
        delivery: the message.
        handlers: the handlers by kind.
        keyring: opens its sealed fields.

    Raises:
        UnreadableError: damaged headers, an unknown kind or version, or a body that breaks the contract.
    """
    try:
        envelope = Envelope.from_headers(delivery.headers)
    except EnvelopeError as error:
        raise UnreadableError(str(error)) from error
    handler = handlers.get(envelope.kind)
    if handler is None:
        raise UnreadableError(f"kind {envelope.kind} is none of {', '.join(sorted(handlers))}", envelope)
    try:
        reading = read_event(
            handler.event, envelope.dataschema, delivery.body, opened=opener(keyring, envelope.task_id)
        )
    except InvalidPayloadError as invalid:
        raise UnreadableError(f"the message breaks its contract: {invalid}", envelope) from None
    except UnknownKeyError as unknown:
        return Work(envelope, unknown, handler)
    return Work(envelope, reading.event, handler)
