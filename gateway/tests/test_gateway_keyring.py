"""What a process keeps in memory of keys, and for how long."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from keys_under_test import id_of, key_in

from waybill_database import Records
from waybill_ledger import Scope
from waybill_testkit.gateway.in_process import running


async def test_a_look_that_was_under_way_when_its_key_was_changed_counts_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, gateway_auth="keys") as gateway:
        key, admin = [await key_in(gateway, scope) for scope in (Scope.READ, Scope.ADMIN)]
        assert (await gateway.client.get("/v1/keys", headers=admin)).status_code == 200
        has_read, go_on = asyncio.Event(), asyncio.Event()
        read = Records.read

        async def held(self: Records, *arguments: Any, **named: Any) -> Any:
            found = await read(self, *arguments, **named)
            if not has_read.is_set():
                has_read.set()
                await go_on.wait()
            return found

        monkeypatch.setattr(Records, "read", held)
        waiting = asyncio.create_task(gateway.client.get("/v1/tasks", headers=key))
        await has_read.wait()
        revoked = await gateway.client.delete(f"/v1/keys/{id_of(key)}", headers=admin)
        assert revoked.status_code == 200
        go_on.set()

        assert (await waiting).status_code == 401
        assert (await gateway.client.get("/v1/tasks", headers=key)).status_code == 401
