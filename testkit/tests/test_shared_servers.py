from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import pytest

from waybill_testkit import shared_servers
from waybill_testkit.certificates import Certificates
from waybill_testkit.postgres.private import PostgresError
from waybill_testkit.shared_servers import SharedServers

WORKERS = 4


@pytest.fixture
def servers() -> Iterator[SharedServers]:
    servers = SharedServers().start()
    yield servers
    servers.close()


def asked(servers: SharedServers, name: str) -> Any:
    with ServerProxy(servers.url, allow_none=True) as proxy:
        return getattr(proxy, name)()


def test_workers_that_ask_at_once_share_one_which_ends_with_the_run() -> None:
    servers = SharedServers().start()
    with ThreadPoolExecutor(WORKERS) as workers:
        answers = list(workers.map(lambda _: asked(servers, "certificates"), range(WORKERS)))

    folders = {answer["folder"] for answer in answers}
    assert len(folders) == 1
    certificates = Certificates(Path(folders.pop()))
    assert certificates.server.exists()
    servers.close()
    assert not certificates.folder.exists()


def test_each_worker_learns_why_a_server_did_not_start_and_none_starts_it_again(
    servers: SharedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = []

    @contextmanager
    def no_postgres(**_options: Any) -> Iterator[None]:
        starts.append(1)
        raise PostgresError("there is none")
        yield

    monkeypatch.setattr(shared_servers, "private_postgres", no_postgres)
    for _ in range(2):
        with pytest.raises(Fault, match=r"PostgresError.*there is none"):
            asked(servers, "postgres")
    assert len(starts) == 1
