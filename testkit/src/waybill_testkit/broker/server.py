"""A broker from the installed `rabbitmq-server`, in a folder of its own, as the current user."""

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

from typing_extensions import override

from waybill_testkit.broker.base import Broker, BrokerError
from waybill_testkit.broker.waiting import wait_until_open
from waybill_testkit.machine import LOOPBACK, die_with_parent, free_ports

#: It stops within about 5 s; after this it is killed, which its durable data survives.
STOP_SECONDS = 20.0
#: Lines of each log in an error message.
TAIL_LINES = 15
#: Two schedulers that sleep when idle instead of spinning: the stack shares a small machine.
FRUGAL = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
#: The management API's numbers are renewed every second instead of every five, so that tests see them soon:
#: by each queue, by connections and channels, and by the API's own collector, whose interval is that of its
#: samples. Twice as often, queues that rest would keep the broker busier than those that are used.
PROMPT = (
    "-rabbit quorum_tick_interval 1000 -rabbit collect_statistics_interval 1000 "
    "-rabbitmq_management_agent sample_retention_policies "
    "[{global,[{605,1}]},{basic,[{605,1}]},{detailed,[{10,1}]}]"
)
ERL_ARGS = f"{FRUGAL} {PROMPT}"
#: Settings of RabbitMQ, Erlang and systemd that a private broker must not inherit.
FOREIGN = ("RABBITMQ_", "ERL_", "NOTIFY_SOCKET")


def survives_a_kill(folder: Path, queues: Iterable[str]) -> bool:
    """Whether a server that is killed now finds these quorum queues again when it is started.

    RabbitMQ writes its directory of them about half a second after the last change. A queue that is not in
    it has lost its members: it never has a leader again, and cannot be consumed.

    Args:
        folder: the broker's, as `ServerBroker.folder`.
        queues: their names, in the virtual host `/`.
    """
    directories = [file.read_bytes() for file in folder.glob("data/*/quorum/*/names.dets")]
    return all(any(f"%2F_{queue}".encode() in each for each in directories) for queue in queues)


class ServerBroker(Broker):
    """`rabbitmq-server` as a child process, listening on loopback only.

    It is killed with us on Linux (see `die_with_parent`). The Erlang port mapper (epmd) that it may leave
    behind is shared by all Erlang nodes of the machine and stays.

    Attributes:
        folder: where its data, logs and cookie are.

    Args:
        program: the server's own start script, not a distribution's wrapper, which insists on its own user.
        folder: for data, logs and cookie; the same folder again means the same data.
        settings: further lines of its `rabbitmq.conf`.
    """

    def __init__(self, program: Path, folder: Path, settings: str = "") -> None:
        self._amqp_port, self._management_port, self._distribution_port = free_ports(3)
        super().__init__(
            f"amqp://guest:guest@{LOOPBACK}:{self._amqp_port}/",
            f"http://{LOOPBACK}:{self._management_port}",
            f"the installed {program}",
        )
        self._program = program
        self._settings = settings
        self.folder = folder.resolve()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the running server."""
        return self._process.pid if self._process else None

    @property
    @override
    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    @override
    def start(self) -> None:
        self.launch()
        try:
            wait_until_open(self.amqp_url, self.management, self._ended, self._log_tail)
        except BaseException:  # an interrupt too must leave no server behind
            self.kill()
            raise

    @override
    def launch(self) -> None:
        self._write_settings()
        with (self.folder / "logs" / "start.log").open("ab") as output:
            # No untrusted input: the program was found among fixed places.
            self._process = subprocess.Popen(  # noqa: S603
                [self._program, "-noinput"],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 (it only calls prctl)
            )

    @override
    def stop(self) -> None:
        self._close_management()
        self._end(signal.SIGTERM)

    @override
    def kill(self) -> None:
        self._end(signal.SIGKILL)

    @override
    def discard(self) -> None:
        self.kill()

    def control(self, *arguments: str) -> None:
        """Run `rabbitmqctl` on the server, for example with `set_vm_memory_high_watermark 0.4`.

        Raises:
            BrokerError: it failed; the message has its output.
        """
        ran = subprocess.run(  # noqa: S603 (the program was found among fixed places)
            [self._program.with_name("rabbitmqctl"), *arguments],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise BrokerError(f"rabbitmqctl {' '.join(arguments)} failed: {ran.stdout}{ran.stderr}")

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._process = None

    def _write_settings(self) -> None:
        for name in ("data", "logs", "generated"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        settings = {
            "rabbitmq.conf": (
                f"listeners.tcp.1 = {LOOPBACK}:{self._amqp_port}\n"
                f"management.tcp.ip = {LOOPBACK}\n"
                f"management.tcp.port = {self._management_port}\n"
                f"{self._settings}"
            ),
            "advanced.config": "[].\n",
            # Without prometheus, which is enabled by default in places and would want a port.
            "enabled_plugins": "[rabbitmq_management].\n",
            "rabbitmq-env.conf": "",  # in place of the system's
        }
        for name, text in settings.items():
            (self.folder / name).write_text(text)

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        folder = self.folder
        # One folder, one node: Erlang refuses a second node of the same name, which guards the data.
        node = "waybill-" + hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        address = LOOPBACK.replace(".", ",")
        return own | {
            "HOME": str(folder),  # for the Erlang cookie
            "RABBITMQ_NODENAME": f"{node}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                f"{ERL_ARGS} -kernel inet_dist_use_interface {{{address}}}"
            ),
            # With it the start script becomes the server instead of waiting for it (-noinput then says what
            # the script would have said), so that signals reach the server itself.
            "RABBITMQ_ALLOW_INPUT": "1",
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_CRASH_DUMP": str(folder / "logs" / "erl_crash.dump"),
        }

    def _ended(self) -> str | None:
        code = self._process.poll() if self._process else None
        return None if code is None else f"{self._program} ended with {code}"

    def _log_tail(self) -> str:
        parts = []
        for log in sorted((self.folder / "logs").glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            if lines:
                parts.append("\n  ".join([f"{log}:", *lines]))
        return "\n".join(parts)
