"""The part of AMQP that each message needs, below the client: deliveries, publishes and their confirms."""

from waybill_worker.amqp.confirms import Batch, Confirms, ReturnedError, UnansweredError
from waybill_worker.amqp.connection import DirectConnection
from waybill_worker.amqp.frames import ack_frame, publish_frames, reject_frame
from waybill_worker.amqp.stream import Incoming

__all__ = [
    "Batch",
    "Confirms",
    "DirectConnection",
    "Incoming",
    "ReturnedError",
    "UnansweredError",
    "ack_frame",
    "publish_frames",
    "reject_frame",
]
