"""A gateway that hands its records to Dramatiq, and Dramatiq's actor; no results.

Settings from Dramatiq 2.2's documentation: confirmed publishes, messages prefetched beyond its threads.
"""

import os
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from bench.apps.peer_api import Accepted, make_api
from bench.kit.payload import ROUTE, Record
from bench.kit.place import AMQP_VARIABLE
from bench.kit.stamps import Stamps


class _QuorumBroker(RabbitmqBroker):  # type: ignore[misc] # untyped where it is not installed
    """Dramatiq declares classic queues; these are quorum queues, as those of all others here."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        arguments: dict[str, Any] = super()._build_queue_arguments(queue_name)
        return arguments | {"x-queue-type": "quorum"}


broker = _QuorumBroker(url=os.environ[AMQP_VARIABLE], confirm_delivery=True)
dramatiq.set_broker(broker)
_stamps = Stamps.from_environment()


def work(record: dict[str, Any]) -> None:
    """The work."""
    _stamps.begin(int(record["id"]))


sync_record = dramatiq.actor(work, actor_name="sync_record")
api = make_api()


@api.post(ROUTE, status_code=202)
def post_sync(record: Record) -> Accepted:
    """Takes a record; on a thread, for Dramatiq's client blocks."""
    return Accepted(id=sync_record.send(record.model_dump()).message_id)
