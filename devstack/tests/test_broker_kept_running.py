"""A stack's own broker that is killed runs again; tests/end_to_end/own_broker kills a real one."""

import os
import signal
from pathlib import Path

from waybill_devstack.stack.kept_broker import kept_running
from waybill_testkit.broker import ServerBroker
from waybill_testkit.eventually import eventually

PATIENCE = 90.0


async def test_a_broker_that_was_killed_is_started_again(tmp_path: Path) -> None:
    # All that matters here is that its process ends: in place of the server, something that starts at once.
    program = tmp_path / "rabbitmq-server"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    said: list[str] = []
    broker = ServerBroker(program, tmp_path / "broker")
    broker.launch()
    try:
        async with kept_running(broker, said.append):
            for time in (1, 2):
                before = broker.pid
                assert before is not None
                os.kill(before, signal.SIGKILL)
                await eventually(lambda time=time: len(said) == time, PATIENCE)  # type: ignore[misc]
                await eventually(lambda before=before: broker.pid != before, PATIENCE)  # type: ignore[misc]
        assert not broker.has_ended
    finally:
        broker.kill()
    assert said[0] == "the broker has ended; it is started again in 0.5 s"
