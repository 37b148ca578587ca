"""Names that gateway and services share: exchanges, queues, headers, content types."""

from typing import Final

EXCHANGE_TASKS: Final = "tasks"
EXCHANGE_EVENTS: Final = "events"
EXCHANGE_DEAD_LETTERS: Final = "dlx"
#: Cancellations; the routing key is the service.
EXCHANGE_CONTROL: Final = "cancellations"
#: Receives messages after all their delays.
EXCHANGE_DELAY_OUT: Final = "delay.out"
#: The broker's default exchange: routes by queue name.
EXCHANGE_DEFAULT: Final = ""
#: Receives messages that no binding matches, so that none is dropped silently.
QUEUE_UNROUTED: Final = "unrouted"

HEADER_TASK_ID: Final = "x-task-id"
HEADER_ATTEMPT: Final = "x-attempt"
#: How often this attempt was snoozed; absent if never.
HEADER_SNOOZE_NO: Final = "x-snooze-no"
HEADER_MAX_ATTEMPTS: Final = "x-max-attempts"
HEADER_REDRIVE_NO: Final = "x-redrive-no"
HEADER_DEADLINE: Final = "x-deadline"
#: How often an operator has edited the payload; absent if never.
HEADER_EDIT_NO: Final = "x-edit-no"
HEADER_TRACEPARENT: Final = "traceparent"
#: On dead letters: why there is no further attempt.
HEADER_DEAD_REASON: Final = "x-dead-reason"
HEADER_ERROR_TYPE: Final = "x-error-type"
HEADER_ERROR_MESSAGE: Final = "x-error-message"
HEADER_DIED_AT: Final = "x-died-at"
HEADER_DIED_IN: Final = "x-died-in"
HEADER_SERVICE_VERSION: Final = "x-service-version"
#: The end of the traceback, and the innermost frame in the code of a service.
HEADER_TRACEBACK: Final = "x-traceback"
HEADER_ERROR_FRAME: Final = "x-error-frame"
DEAD_LETTER_HEADERS: Final = (
    HEADER_DEAD_REASON,
    HEADER_ERROR_TYPE,
    HEADER_ERROR_MESSAGE,
    HEADER_DIED_AT,
    HEADER_DIED_IN,
    HEADER_SERVICE_VERSION,
    HEADER_TRACEBACK,
    HEADER_ERROR_FRAME,
)
#: Headers that the broker writes itself.
BROKER_HEADERS: Final = ("x-death", "x-delivery-count", "x-acquired-count", "CC", "BCC")
BROKER_HEADER_PREFIXES: Final = ("x-first-death-", "x-last-death-")

#: Prefix of the CloudEvents attributes in binary mode (CloudEvents AMQP binding 1.0.2, section 3.1.3.1).
CLOUD_EVENTS_PREFIX: Final = "cloudEvents_"

CONTENT_TYPE_EVENT: Final = "application/json"
#: CloudEvents JSON format 1.0.2, section 4: an array of structured events in one message.
CONTENT_TYPE_LIFECYCLE_BATCH: Final = "application/cloudevents-batch+json"
_WORK_QUEUE: Final = ".work"


def work_queue(service: str) -> str:
    """The queue that `service` consumes."""
    return f"{service}{_WORK_QUEUE}"


def service_of(work_queue_name: str) -> str:
    """The service that consumes this queue."""
    return work_queue_name.removesuffix(_WORK_QUEUE)


def dead_letter_queue(service: str) -> str:
    """The queue for dead letters of `service`; also their routing key on the dead-letter exchange."""
    return f"{service}.dlq"


def control_queue(service: str) -> str:
    """The queue for control messages to `service`."""
    return f"{service}.control"


def delay_exchange(level: int) -> str:
    """The exchange, and the queue with this name, that delays messages by 2**level seconds."""
    return f"delay.{level:02d}"


def source_of(service: str) -> str:
    """The CloudEvents `source` of messages from `service`."""
    return f"/waybill/{service}"
