"""The servers that all workers of one test run share: RabbitMQ, PostgreSQL, and their certificates."""

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Event, Lock, Thread
from typing import Any, Self
from xmlrpc.server import SimpleXMLRPCServer

from waybill_ledger.migrations import upgrade
from waybill_testkit.broker import ServerBroker, private_broker
from waybill_testkit.certificates import Certificates
from waybill_testkit.machine import LOOPBACK, free_ports, in_containers
from waybill_testkit.postgres import Postgres, private_postgres

#: What a worker learns of a server.
Description = dict[str, Any]


class _Calls(ThreadingMixIn, SimpleXMLRPCServer):
    """Answers each call in a thread of its own: one server may start while another is used."""

    daemon_threads = True


class SharedServers:
    """Starts a server when a test first asks for it, and ends all of them with the test run.

    The controller of pytest-xdist has one (without xdist, the only process); its workers ask it by XML-RPC
    over loopback. A start of RabbitMQ costs 5 s of processor time, which each worker would pay otherwise.

    Each server runs in a thread of its own, because on Linux a server ends with the thread that started it.

    Attributes:
        url: for `xmlrpc.client.ServerProxy`; its methods are `certificates`, `broker`, `postgres` and
            `ledger_template`.
        used: one line for each server that was started: which one, and where it comes from.
    """

    def __init__(self) -> None:
        self.used: list[str] = []
        self._calls = _Calls((LOOPBACK, 0), allow_none=True, logRequests=False)
        self.url = f"http://{LOOPBACK}:{self._calls.server_address[1]}"
        self._servers: dict[str, Future[Description]] = {}
        self._threads: list[Thread] = []
        self._lock = Lock()
        self._ending = Event()

    def start(self) -> Self:
        """Accept calls."""
        for server in (self._certificates, self._broker, self._postgres, self._ledger_template):
            name = server.__name__.removeprefix("_")
            self._calls.register_function(lambda name=name, server=server: self._shared(name, server), name)
        self._start_thread("calls", self._calls.serve_forever)
        return self

    def close(self) -> None:
        """End what was started."""
        self._calls.shutdown()
        self._calls.server_close()
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _shared(self, name: str, server: Callable[[], AbstractContextManager[Description]]) -> Description:
        with self._lock:
            started = self._servers.get(name)
            if started is None:
                started = self._servers[name] = Future()
                self._start_thread(name, self._run, server, started)
        return started.result()

    def _start_thread(self, name: str, target: Callable[..., None], *arguments: Any) -> None:
        thread = Thread(target=target, args=arguments, name=f"shared-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(
        self, server: Callable[[], AbstractContextManager[Description]], started: Future[Description]
    ) -> None:
        try:
            with server() as description:
                started.set_result(description)
                self._ending.wait()
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)  # raised in each worker that asked

    @contextmanager
    def _certificates(self) -> Iterator[Description]:
        with tempfile.TemporaryDirectory(prefix="waybill-certificates-") as folder:
            # RabbitMQ and PostgreSQL may run as other users.
            Path(folder).chmod(0o755)
            Certificates.made(Path(folder))
            yield {"folder": folder}

    @contextmanager
    def _broker(self) -> Iterator[Description]:
        certificates = Certificates(Path(self._shared("certificates", self._certificates)["folder"]))
        (port,) = free_ports(1)
        with (
            tempfile.TemporaryDirectory(prefix="waybill-broker-") as folder,
            private_broker(
                Path(folder),
                amqp_url=os.environ.get("AMQP_URL"),
                management_url=os.environ.get("AMQP_MANAGEMENT_URL"),
                in_container=in_containers(),
                settings=_tls_listener(certificates, port),
                disposable=True,
            ) as broker,
        ):
            self.used.append(f"RabbitMQ: {broker.how}")
            yield {
                "amqp_url": broker.amqp_url,
                "management_url": broker.management_url,
                "how": broker.how,
                "amqps_port": port if isinstance(broker, ServerBroker) else None,
            }

    @contextmanager
    def _postgres(self) -> Iterator[Description]:
        with private_postgres(in_container=in_containers()) as server:
            self.used.append(f"PostgreSQL: {server.how}")
            yield {"url": server.url, "how": server.how}

    @contextmanager
    def _ledger_template(self) -> Iterator[Description]:
        with closing(Postgres(**self._shared("postgres", self._postgres))) as server:
            url = server.new_database()
        upgrade(url)
        yield {"url": url}


def _tls_listener(certificates: Certificates, port: int) -> str:
    return (
        f"listeners.ssl.1 = {LOOPBACK}:{port}\n"
        f"ssl_options.cacertfile = {certificates.ca}\n"
        f"ssl_options.certfile = {certificates.server}\n"
        f"ssl_options.keyfile = {certificates.server}\n"
        "ssl_options.verify = verify_peer\n"
        "ssl_options.fail_if_no_peer_cert = true\n"
    )
