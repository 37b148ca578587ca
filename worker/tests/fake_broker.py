"""The other end of an AMQP connection, in the test's own event loop: it says what no RabbitMQ would say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pamqp.frame
from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Confirm, Connection, Queue
from pamqp.common import FieldTable

#: The answer to each request of a client, by its name.
_ANSWERS: dict[str, type[Frame]] = {
    answer.name.removesuffix("Ok"): answer
    for answer in (Channel.OpenOk, Channel.CloseOk, Confirm.SelectOk, Basic.QosOk, Connection.CloseOk)
}


class FakeBroker:
    """Accepts every client, and answers what it asks; all else is for the test to say.

    Attributes:
        writers: to each client that connected, in turn.
        read: what clients sent, in turn.
        consumer: the tag of the consumer that began last.
        channel: where that was, or the last publish.
    """

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.read: list[pamqp.frame.FrameTypes] = []
        self.consumer: str | None = None
        self.channel = 0
        self.port = 0
        self.frame_max = 131_072

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def say(self, *frames: pamqp.frame.FrameTypes) -> None:
        """Sends frames to the client that connected last, on the channel."""
        self.say_raw(b"".join(pamqp.frame.marshal(frame, self.channel) for frame in frames))

    def say_raw(self, data: bytes) -> None:
        """Sends bytes to the client that connected last."""
        self.writers[-1].write(data)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one client until it leaves."""
        self.writers.append(writer)
        try:
            await reader.readexactly(8)
            properties: FieldTable = {"capabilities": {"publisher_confirms": True, "basic.nack": True}}
            start = Connection.Start(server_properties=properties, mechanisms="PLAIN")
            writer.write(pamqp.frame.marshal(start, 0))
            while True:
                head = await reader.readexactly(7)
                _, channel, size = pamqp.frame.frame_parts(head)
                rest = await reader.readexactly((size or 0) + 1)
                frame = pamqp.frame.unmarshal(head + rest)[2]
                self.read.append(frame)
                if isinstance(frame, Basic.Publish | Basic.Consume):
                    self.channel = channel
                for answer in self._answers(frame):
                    writer.write(pamqp.frame.marshal(answer, channel))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answers(self, frame: pamqp.frame.FrameTypes) -> list[Frame]:
        match frame:
            case Connection.StartOk():
                return [Connection.Tune(channel_max=100, frame_max=self.frame_max, heartbeat=0)]
            case Connection.Open():
                return [Connection.OpenOk()]
            case Queue.Declare():
                return [Queue.DeclareOk(queue=frame.queue, message_count=0, consumer_count=0)]
            case Basic.Consume():
                self.consumer = frame.consumer_tag
                return [Basic.ConsumeOk(consumer_tag=frame.consumer_tag)]
            case Basic.Cancel():
                return [Basic.CancelOk(consumer_tag=frame.consumer_tag)]
            case _:
                return [_ANSWERS[frame.name]()] if frame.name in _ANSWERS else []


@asynccontextmanager
async def fake_broker() -> AsyncIterator[FakeBroker]:
    """One that listens on a free port."""
    broker = FakeBroker()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        for writer in broker.writers:
            writer.close()
        await server.wait_closed()
