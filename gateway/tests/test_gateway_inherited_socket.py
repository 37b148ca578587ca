"""Whether a gateway that asks nobody for a key may serve on a socket that it inherits."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from waybill_gateway.process import GatewayProcess
from waybill_testkit.empty_ledger import empty_ledger
from waybill_testkit.gateway.in_process import settings_in
from waybill_worker.runtime.process import MisconfiguredError


@pytest.mark.parametrize("said", [{"gateway_open_to_anyone": True}, {"gateway_auth": "keys"}])
async def test_an_open_gateway_is_refused_where_the_socket_that_it_inherits_is_reached_by_others(
    tmp_path: Path, said: dict[str, Any]
) -> None:
    (tmp_path / "ledger.db").write_bytes(empty_ledger())
    with socket.create_server(("0.0.0.0", 0)) as listener:
        inherited = {"host": "127.0.0.1", "drain_seconds": 0}
        mistaken = settings_in(tmp_path, listener_fd=os.dup(listener.fileno()), **inherited)
        refused = GatewayProcess(mistaken)
        try:
            with pytest.raises(
                MisconfiguredError, match=r"reaches 0\.0\.0\.0 .*WAYBILL_GATEWAY_OPEN_TO_ANYONE"
            ):
                await refused.start()
        finally:
            await refused.stop()
        os.close(mistaken.listener_fd or 0)

        process = GatewayProcess(
            settings_in(tmp_path, listener_fd=os.dup(listener.fileno()), **inherited, **said)
        )
        await process.start()
        await process.stop()


async def test_an_open_gateway_may_inherit_a_socket_of_this_machine_whatever_its_host(
    tmp_path: Path,
) -> None:
    (tmp_path / "ledger.db").write_bytes(empty_ledger())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = settings_in(
            tmp_path,
            host="192.0.2.1",
            listener_fd=os.dup(listener.fileno()),
            drain_seconds=0,
        )
        process = GatewayProcess(settings)
        await process.start()
        await process.stop()


async def test_what_is_no_socket_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(empty_ledger())
    with (tmp_path / "file").open("wb") as file:
        process = GatewayProcess(settings_in(tmp_path, listener_fd=os.dup(file.fileno())))
        with pytest.raises(MisconfiguredError, match=r"WAYBILL_LISTENER_FD=\d+ is no inherited socket"):
            await process.start()
        await process.stop()
