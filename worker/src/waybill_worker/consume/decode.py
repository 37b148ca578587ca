"""The first step: decodes body and headers into an event that fits its contract."""

from collections.abc import Mapping

from waybill_contracts.privacy import Keyring, UnknownKeyError
from waybill_contracts.versions import (
    UPCASTERS,
    InvalidPayloadError,
    NewerVersionError,
    Upcasters,
    opener,
    read_event,
)
from waybill_contracts.wire import Envelope, EnvelopeError
from waybill_worker.attempt import Handler, RetryPolicy, Work, handler_of_unknown
from waybill_worker.broker import Delivery
from waybill_worker.errors import NotReadableYetError


class UnreadableError(Exception):
    """No release can read the message, or none can any more; no retry will change that."""

    def __init__(self, message: str, envelope: Envelope | None = None) -> None:
        super().__init__(message)
        #: Its envelope, if that could be read: enough to report the subtask as dead.
        self.envelope = envelope


class Decoder:
    """Reads the deliveries of one service.

    Args:
        handlers: the handlers by kind.
        keyring: opens sealed fields.
        unknown: policy of the snoozes of kinds without a handler here.
        upcasters: convert the data of older versions.

    Attributes:
        handlers: the handlers by kind.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        keyring: Keyring,
        unknown: RetryPolicy,
        upcasters: Upcasters = UPCASTERS,
    ) -> None:
        self.handlers = handlers
        self._keyring = keyring
        self._unknown = unknown
        self._upcasters = upcasters

    def decode(self, delivery: Delivery) -> Work:
        """Reads a delivery, of the current version or of an older one that can be upcast.

        Returns:
            The work. While an old and a new release consume one queue, its kind or version may be known only
            to the new one; and its key may not be configured here yet: then its event is the error, and the
            attempt is snoozed.

        Raises:
            UnreadableError: damaged headers, a version that is not read any more, or a body that breaks the
                contract.
        """
        try:
            envelope = Envelope.from_headers(delivery.headers)
        except EnvelopeError as error:
            raise UnreadableError(str(error)) from error
        handler = self.handlers.get(envelope.kind)
        if handler is None:
            known = ", ".join(sorted(self.handlers))
            unknown = NotReadableYetError(f"this release knows no {envelope.kind}, only {known}")
            return Work(envelope, unknown, handler_of_unknown(envelope.kind, self._unknown))
        try:
            opened = opener(self._keyring, envelope.task_id)
            reading = read_event(
                handler.event,
                envelope.dataschema,
                delivery.body,
                opened=opened,
                upcasters=self._upcasters,
            )
        except (NewerVersionError, UnknownKeyError) as error:
            return Work(envelope, NotReadableYetError(str(error)), handler)
        except InvalidPayloadError as invalid:
            raise UnreadableError(f"the message breaks its contract: {invalid}", envelope) from None
        return Work(envelope, reading.event, handler)
