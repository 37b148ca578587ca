"""A stack's own broker that is killed runs again, on the same port."""

import os
import signal
from pathlib import Path

import pytest

from waybill_devstack.stack.kept_broker import kept_running
from waybill_testkit.broker import private_broker
from waybill_testkit.broker.server import ServerBroker
from waybill_testkit.broker.waiting import why_not_open
from waybill_testkit.eventually import eventually

PATIENCE = 90.0


async def test_a_broker_that_was_killed_is_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    with private_broker(tmp_path / "broker", disposable=True) as broker:
        if not isinstance(broker, ServerBroker):
            pytest.skip("needs a broker that is a process of ours: an installed rabbitmq-server")
        async with kept_running(broker, said.append):
            for time in (1, 2):
                before = broker.pid
                assert before is not None
                os.kill(before, signal.SIGKILL)
                await eventually(lambda time=time: len(said) == time, PATIENCE)  # type: ignore[misc]
                await eventually(lambda before=before: broker.pid != before, PATIENCE)  # type: ignore[misc]
                await eventually(lambda: why_not_open(broker.amqp_url) is None, PATIENCE)
        assert not broker.has_ended
    assert said[0] == "the broker has ended; it is started again in 0.5 s"
