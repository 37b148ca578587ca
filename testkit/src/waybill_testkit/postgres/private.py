"""A private PostgreSQL for one test run: see `private_postgres`."""

import os
import pwd
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from waybill_testkit.machine import LOOPBACK, die_with_parent, free_ports, one_at_a_time
from waybill_testkit.postgres.programs import find_programs, install_programs

#: The superuser inside the private server; it is none of the system's users.
USER = "waybill"
#: Users that initdb may run as in root's stead, which it refuses.
UNPRIVILEGED = ("postgres", "nobody")
#: A server is up in about a second; this much on a machine that is busy with other things.
START_SECONDS = 60.0
#: It stops at once on SIGINT; after this it is killed.
STOP_SECONDS = 10.0
#: Seconds between two checks whether it is up.
PAUSE_SECONDS = 0.05
#: What Docker is asked for where there is no PostgreSQL.
IMAGE = "postgres:17"
#: All workers of a test run share one.
_MANY_CLIENTS = "max_connections=400"
#: No data of a test run must survive a power cut …
_CARELESS = ("fsync=off", "full_page_writes=off", _MANY_CLIENTS)
#: … or, mostly, the end of the server: then it need not write before it answers.
_MOST_CARELESS = (*_CARELESS, "synchronous_commit=off")

#: Since PostgreSQL 15.
_CHOOSES_HOW_TO_COPY = 150000


class PostgresError(Exception):
    """There is no PostgreSQL, or it does not start; `str()` says why."""


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    #: Of the database `postgres`, with user and password.
    url: str
    #: Its origin, as text for the user.
    how: str
    #: The connection that makes and drops databases, once there is one.
    _commanding: list[psycopg.Connection[Any]] = field(default_factory=list, init=False, compare=False)

    @contextmanager
    def database(self, *, copied_from: str | None = None) -> Iterator[str]:
        """A fresh database, for one test: yields its URL and drops it afterwards; see `new_database`."""
        made = self.new_database(copied_from=copied_from)
        try:
            yield made
        finally:
            # FORCE: connections that a failed test left open must not keep it.
            self._command(f"DROP DATABASE {made.rpartition('/')[2]} WITH (FORCE)")

    def new_database(self, *, copied_from: str | None = None) -> str:
        """A fresh database, which lasts as long as the server; returns its URL.

        Args:
            copied_from: the URL of another one without connections; empty if not given.
        """
        name = f"test_{secrets.token_hex(6)}"
        if copied_from is None:
            # As UTF-8 by the order of bytes, whatever the server's own defaults are.
            self._command(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
        else:
            template = copied_from.rpartition("/")[2]
            self._command(f"CREATE DATABASE {name} TEMPLATE {template}", copies=True)
        return self.url.removesuffix("postgres") + name

    def rename(self, url: str, new_url: str) -> None:
        """Renames a database without connections to the name in `new_url`."""
        old, new = (each.rpartition("/")[2] for each in (url, new_url))
        self._command(f"ALTER DATABASE {old} RENAME TO {new}")

    def close(self) -> None:
        """Closes its own connection to the server, if it has one."""
        while self._commanding:
            self._commanding.pop().close()

    def _command(self, text: str, *, copies: bool = False) -> None:
        if not self._commanding:
            self._commanding.append(psycopg.connect(self.url, autocommit=True))
        [connection] = self._commanding
        # As files: row by row through the log, which newer servers do otherwise, is twice the work.
        if copies and connection.info.server_version >= _CHOOSES_HOW_TO_COPY:
            text += " STRATEGY FILE_COPY"
        connection.execute(text.encode())


@dataclass(frozen=True)
class InstalledPostgres(Postgres):
    """A server that can be stopped and started again, with its committed data."""

    programs: Path
    folder: Path
    user: pwd.struct_passwd | None
    settings: tuple[str, ...]
    #: The process, while there is one.
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Starts it, and returns when it can be connected to.

        Raises:
            PostgresError: it does not start.
        """
        log = self.folder / "log"
        arguments = [
            "-D",
            str(self.folder / "data"),
            "-h",
            LOOPBACK,
            "-p",
            str(urlsplit(self.url).port),
            "-k",
            "",
        ]
        for setting in self.settings:
            arguments += ["-c", setting]
        with log.open("ab") as output:
            server = subprocess.Popen(  # noqa: S603 - the program was found among fixed places
                [self.programs / "postgres", *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it only calls prctl
                **as_user(self.user),
            )
        self._running.append(server)
        _wait_until_open(self.url, server, log)

    @property
    def pid(self) -> int:
        """Its process, which is the parent of those that serve connections.

        Raises:
            ValueError: it does not run.
        """
        (server,) = self._running
        return server.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not stopped since."""
        return bool(self._running)

    def freeze(self) -> None:
        """Freezes it with its connections: it accepts data, and answers nothing."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it continue."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, how: signal.Signals) -> None:
        for server in self._running:
            if server.poll() is not None:
                continue
            # Itself first: it begins no others then.
            server.send_signal(how)
            for child in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
                with suppress(ProcessLookupError):  # it has ended since
                    os.kill(int(child), how)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it.

        Args:
            how: SIGINT disconnects the clients; SIGQUIT is as a crash.
        """
        # A frozen process would not receive the signal.
        self.thaw()
        self.close()
        while self._running:
            _stop(self._running.pop(), how)


@contextmanager
def restartable_postgres() -> Iterator[InstalledPostgres]:
    """A PostgreSQL for one test, which may stop and start it; confirmed data is kept.

    Raises:
        PostgresError: none is installed.
    """
    programs = find_programs(os.environ.get("PATH", os.defpath))
    if programs is None:
        raise PostgresError("no PostgreSQL server is installed")
    with _installed(programs, _CARELESS) as server:
        yield server


@contextmanager
def private_postgres(
    *, may_install: bool = True, in_container: bool = False, careless: bool = True
) -> Iterator[Postgres]:
    """A PostgreSQL that runs for the time of the `with` block, on loopback.

    In this order: the server's programs that are installed; those from Debian's package, as root where
    there is apt-get; Docker.

    Args:
        may_install: whether the package manager may be used.
        in_container: Docker and nothing else.
        careless: whether it may answer before anything is on the disk, which is many times as fast.

    Raises:
        PostgresError: no way leads to a server; the message lists what was tried.
    """
    settings = _MOST_CARELESS if careless else ()
    if in_container:
        server = _from_docker(["nothing else was to be tried"], settings)
    else:
        server = _choose(settings, may_install=may_install)
    with server as running:
        yield running


def _choose(settings: tuple[str, ...], *, may_install: bool) -> AbstractContextManager[Postgres]:
    reasons = ["no PostgreSQL server is installed"]
    path = os.environ.get("PATH", os.defpath)
    programs = find_programs(path)
    if programs is None and may_install:
        # The package manager refuses a second one at the same time.
        with one_at_a_time("installing"):
            programs = find_programs(path)
            if programs is None:
                reasons.append(install_programs())
                programs = find_programs(path)
    return _from_docker(reasons, settings) if programs is None else _installed(programs, settings)


def _from_docker(reasons: list[str], settings: tuple[str, ...]) -> AbstractContextManager[Postgres]:
    # Only here: importing it takes long and reads the environment.
    from waybill_testkit.machine import why_no_docker  # noqa: PLC0415

    no_docker = why_no_docker()
    if no_docker is not None:
        reasons.append(f"Docker does not answer: {no_docker}")
        raise PostgresError("no PostgreSQL: " + "; ".join(reasons))
    return _container(settings)


@contextmanager
def _installed(programs: Path, settings: tuple[str, ...]) -> Iterator[InstalledPostgres]:
    user = unprivileged_user()
    (port,) = free_ports(1)
    password = secrets.token_hex(16)
    # Not below the caller's folder, which an unprivileged user could not reach.
    with tempfile.TemporaryDirectory(prefix="waybill-postgres-") as name:
        folder = Path(name)
        secret = folder / "password"
        secret.write_text(password)
        if user is not None:
            for path in (folder, secret):
                os.chown(path, user.pw_uid, user.pw_gid)
        _initialise(programs, folder, secret, user)
        url = f"postgresql://{USER}:{password}@{LOOPBACK}:{port}/postgres"
        server = InstalledPostgres(url, f"the installed {programs}", programs, folder, user, settings)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _initialise(programs: Path, folder: Path, secret: Path, user: pwd.struct_passwd | None) -> None:
    # Passwords by MD5: loopback only, and SCRAM has both sides compute for milliseconds at each connection.
    made = subprocess.run(  # noqa: S603 - the program was found among fixed places
        [
            *(programs / "initdb", "-D", folder / "data", "-U", USER, "--pwfile", secret),
            *("-A", "md5", "-E", "UTF8", "--locale=C", "--no-sync"),
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **as_user(user),
    )
    if made.returncode != 0:
        raise PostgresError(f"initdb failed:\n{made.stdout}")


def unprivileged_user() -> pwd.struct_passwd | None:
    """Whom to run as: None stands for ourselves, where we are not root."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        with suppress(KeyError):  # there is no such user: try the next
            return pwd.getpwnam(name)
    raise PostgresError(f"PostgreSQL refuses to run as root, and there is none of {UNPRIVILEGED}")


def as_user(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """The arguments of `subprocess` for a process of theirs."""
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _wait_until_open(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL did not start: {error}\n{log.read_text()}") from error
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _stop(server: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if server.poll() is None:
        server.send_signal(how)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextmanager
def _container(settings: tuple[str, ...]) -> Iterator[Postgres]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - importing it takes long

    (port,) = free_ports(1)
    password = secrets.token_hex(16)
    container = (
        DockerContainer(IMAGE)
        .with_env("POSTGRES_USER", USER)
        .with_env("POSTGRES_PASSWORD", password)
        .with_env("POSTGRES_DB", "postgres")
        .with_command(["postgres", *(part for setting in settings for part in ("-c", setting))])
    )
    # Past with_bind_ports, which knows no addresses: it must not be reachable from outside.
    ports: dict[str, Any] = container.ports
    ports["5432"] = (LOOPBACK, port)
    container.start()
    try:
        url = f"postgresql://{USER}:{password}@{LOOPBACK}:{port}/postgres"
        _wait_for_container(url)
        server = Postgres(url, f"Docker, {IMAGE}")
        yield server
        server.close()
    finally:
        container.stop()


def _wait_for_container(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise PostgresError(f"{IMAGE} did not come up: {error}") from error
            time.sleep(PAUSE_SECONDS)
        else:
            return
