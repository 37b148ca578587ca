"""The messages of a backlog are counted before anything is reported."""

from pathlib import Path

import aio_pika
import pytest

from bench.large.backlog import QUEUE, Backlog


async def test_a_message_of_a_backlog_that_is_gone_is_noticed(topology_url: str, tmp_path: Path) -> None:
    backlog = Backlog(topology_url, tmp_path / "place", size=20)
    await backlog.publish(20)
    await backlog.require_whole()

    async with await aio_pika.connect(topology_url) as connection, connection.channel() as channel:
        await (await channel.get_queue(QUEUE)).get(no_ack=True)

    with pytest.raises(SystemExit, match="20 were published, but 0 run, 0 of them twice, and 19 wait"):
        await backlog.require_whole()
