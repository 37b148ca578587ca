"""What FastStream's AsyncAPI document says of a queue and of the messages in it.

One channel for each queue, named and addressed like it; its payload is one of the schemas, each named like
its kind. FastStream makes its own specification from the signatures of handlers that take messages.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from faststream._internal.endpoint.subscriber.call_item import CallsCollection
from faststream.rabbit import RabbitExchange, RabbitQueue
from faststream.rabbit.configs import RabbitBrokerConfig
from faststream.rabbit.subscriber.config import RabbitSubscriberSpecificationConfig
from faststream.rabbit.subscriber.specification import RabbitSubscriberSpecification

#: JSON Schemas of the bodies of messages, by the kind of the message.
Schemas = Mapping[str, Mapping[str, Any]]
#: Key of a schema's own definitions.
_DEFINITIONS: Final = "$defs"


class QueueSpecification(RabbitSubscriberSpecification):
    """A queue and its messages.

    Args:
        broker_config: configuration of the broker that consumes the queue.
        queue: the queue.
        description: what the messages are for; Markdown.
        schemas: returns the schemas when the document is made.
    """

    def __init__(
        self,
        broker_config: RabbitBrokerConfig,
        queue: RabbitQueue,
        description: str,
        schemas: Callable[[], Schemas],
    ) -> None:
        super().__init__(
            broker_config,
            RabbitSubscriberSpecificationConfig(
                title_=queue.name, description_=description, queue=queue, exchange=RabbitExchange()
            ),
            CallsCollection(),
        )
        self._schemas = schemas

    @property
    def call_name(self) -> str:
        """Name of the queue."""
        return self.config.queue.name

    def get_payloads(self) -> list[tuple[dict[str, Any], str]]:
        """The schemas and their kinds."""
        return [(_named(kind, schema), kind) for kind, schema in self._schemas().items()]


def _named(kind: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `schema`, titled and its definitions prefixed with its kind.

    FastStream puts the definitions of all messages into one place, by their names.
    """
    named: dict[str, Any] = _prefixed(schema, f"{kind}.") | {"title": kind}
    if _DEFINITIONS in named:
        named[_DEFINITIONS] = {f"{kind}.{name}": each for name, each in named[_DEFINITIONS].items()}
    return named


def _prefixed(part: Any, prefix: str) -> Any:
    """A copy of a part of a schema, its references to definitions prefixed."""
    if isinstance(part, Mapping):
        return {
            key: value.replace(f"#/{_DEFINITIONS}/", f"#/{_DEFINITIONS}/{prefix}")
            if key == "$ref" and isinstance(value, str)
            else _prefixed(value, prefix)
            for key, value in part.items()
        }
    return [_prefixed(each, prefix) for each in part] if isinstance(part, list) else part
