"""Problems of any call: its form, its key, and what the gateway cannot do now."""

from waybill.problems.base import ProblemError


class BadCursorError(ProblemError, code="bad_cursor"):
    """The cursor is not of this listing with these filters. Begin again without a cursor."""


class BadIdempotencyKeyError(ProblemError, code="bad_idempotency_key"):
    """Idempotency-Key is 1 to 255 visible ASCII characters without spaces."""


class BadLastEventIdError(ProblemError, code="bad_last_event_id"):
    """No event has this id. Begin again without Last-Event-ID."""


class BadRequestError(ProblemError, code="bad_request"):
    """The form cannot be read."""


class CallErasedError(ProblemError, code="call_erased"):
    """The content of the call with this Idempotency-Key was erased."""


class CallUnderWayError(ProblemError, code="call_under_way"):
    """A call with this Idempotency-Key is being answered. Repeat it in a moment."""

    NOTHING_DONE = True
    TEMPORARY = True


class EncodedBodyError(ProblemError, code="encoded_body"):
    """Send the body uncompressed."""


class FileBeingRemovedError(ProblemError, code="file_being_removed"):
    """An older copy of this file is being removed. Repeat the call soon."""

    NOTHING_DONE = True


class FormBodyError(ProblemError, code="form_body"):
    """Send the file itself as the body, not a form."""


class HeadTooLargeError(ProblemError, code="head_too_large"):
    """The request's head is too large."""


class ImageCheckTooSlowError(ProblemError, code="image_check_too_slow"):
    """The image was not examined in time. Repeat the call in a moment."""

    NOTHING_DONE = True


class InternalError(ProblemError, code="internal_error"):
    """An internal error."""


class InvalidJsonError(ProblemError, code="invalid_json"):
    """The body cannot be read as JSON."""


class InvalidRequestError(ProblemError, code="invalid_request"):
    """Fields are wrong; errors lists them."""


class KeyEndedError(ProblemError, code="key_ended"):
    """This key was revoked, or has expired."""


class KeyMissingError(ProblemError, code="key_missing"):
    """Send your key."""


class KeyReusedError(ProblemError, code="key_reused"):
    """This Idempotency-Key was used for a call with other content."""


class KeyUnknownError(ProblemError, code="key_unknown"):
    """This is not a key of this installation."""


class LedgerUnavailableError(ProblemError, code="ledger_unavailable"):
    """The ledger cannot be written or read now. Repeat the call in a moment."""


class LinkExpiredError(ProblemError, code="link_expired"):
    """The link, its key or its task has ended. Ask the application for another link."""


class MalformedRequestError(ProblemError, code="malformed_request"):
    """This cannot be read as a request of HTTP/1.1."""


class MethodNotAllowedError(ProblemError, code="method_not_allowed"):
    """The path takes other methods; Allow names them."""


class NoRoomError(ProblemError, code="no_room"):
    """There is no room for an upload now. Repeat the call in a moment."""

    NOTHING_DONE = True


class NoSuchLinkError(ProblemError, code="no_such_link"):
    """This is not a link of this installation."""


class NotFoundError(ProblemError, code="not_found"):
    """There is no such path."""


class NotJsonError(ProblemError, code="not_json"):
    """Send the body as JSON."""


class OverloadedError(ProblemError, code="overloaded"):
    """There are too many connections. Repeat the call in a moment."""

    NOTHING_DONE = True


class RepeatedHeaderError(ProblemError, code="repeated_header"):
    """A header that counts once was sent more than once."""


class ScopeMissingError(ProblemError, code="scope_missing"):
    """This key does not allow that."""


class SlowBodyError(ProblemError, code="slow_body"):
    """The body did not arrive in time."""


class SlowHeadError(ProblemError, code="slow_head"):
    """The head of the request did not arrive in time."""


class StoreMisconfiguredError(ProblemError, code="store_misconfigured"):
    """The object store refuses this gateway."""

    NOTHING_DONE = True


class StoreUnavailableError(ProblemError, code="store_unavailable"):
    """Files cannot be stored or read now. Repeat the call in a moment."""

    NOTHING_DONE = True


class TooLargeError(ProblemError, code="too_large"):
    """The body is too large, or the image has too many bytes or pixels."""


class TooManyRequestsError(ProblemError, code="too_many_requests"):
    """Too many requests. Repeat the call later."""

    NOTHING_DONE = True


class TooManyWatchersError(ProblemError, code="too_many_watchers"):
    """Too many callers wait for tasks. Ask without waiting, or again later."""

    NOTHING_DONE = True
