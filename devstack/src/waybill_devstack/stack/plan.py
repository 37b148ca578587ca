"""The processes of the stack and their settings: the same services as in production.

Configured with short waits, so that a retry is seen within seconds.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from waybill_contracts.privacy import Keyring
from waybill_testkit.machine import LOOPBACK

#: Where alerts go in the local stack.
OPS_ADDRESS = "ops@example.com"
#: Settings that differ from a service's defaults, with the reason.
SHORT_WAITS = {
    "WAYBILL_RETRY_MAX_ATTEMPTS": "4",  # three retries
    "WAYBILL_RETRY_BASE_SECONDS": "1",  # waits of 1, 2 and 4 seconds …
    "WAYBILL_RETRY_JITTER": "0.2",  # … that are seen to grow, whatever the dice say
    "WAYBILL_RETRY_SNOOZE_BASE_SECONDS": "1",  # an unreachable peer is tried again soon
    "WAYBILL_LEASE_SECONDS": "3",  # the work of a killed service is taken up again soon
    "WAYBILL_GRACE_SECONDS": "5",  # Ctrl-C stops the stack soon …
    "WAYBILL_DRAIN_SECONDS": "1",  # … and no load balancer needs time to notice
}


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of the processes, on loopback."""

    gateway: int
    mailbox_smtp: int
    mailbox: int
    crm: int
    status: int
    deadletters: int
    email: int
    images: int
    sync: int


@dataclass(frozen=True, slots=True)
class Planned:
    """One process to run."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str]
    #: Answers 200 once the process does its work.
    ready_url: str
    #: Port for requests. Such a process can inherit the listener, and then be restarted without a gap.
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Parts of the stack."""

    ledger_url: str
    objects: Path
    processes: tuple[Planned, ...]
    #: Settings of a service that joins the stack; `{service}` stands for its name.
    joining: dict[str, str]


def make_plan(
    state: Path,
    amqp_url: str,
    ports: Ports,
    *,
    database: Callable[[str], str] | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Plan:
    """Returns the processes of a stack that keeps its state and keys in `state` (an absolute path).

    `database` returns the URL of the database `ledger`, `inbox-email` …; files in `state` if not given.
    `settings` are more settings of all processes except the stand-ins.
    """
    database = database or (lambda name: f"sqlite:///{state / name}.db")
    gateway_url = url(ports.gateway)
    ledger_url = database("ledger")
    objects = state / "objects"
    every = {
        "WAYBILL_AMQP_URL": amqp_url,
        "WAYBILL_LOG_LEVEL": "info",
        "WAYBILL_SEALING_KEYS": _kept_key(state / "sealing.key"),
        **SHORT_WAITS,
        **settings,
    }
    ledger = {"WAYBILL_LEDGER_URL": ledger_url}
    persons = {"WAYBILL_PERSONS_KEY": _kept_key(state / "persons.key")}
    store = {"WAYBILL_OBJECT_STORE_URL": f"file://{quote(str(objects))}"}

    def service(name: str, port: int, **settings: str) -> Planned:
        inbox = {"WAYBILL_INBOX_URL": database(f"inbox-{name}")}
        env = every | inbox | {"WAYBILL_HEALTH_PORT": str(port)} | settings
        return Planned(name, _module(f"waybill_{name}"), env, url(port, "/readyz"), port)

    return Plan(
        ledger_url,
        objects,
        (
            Planned(
                "mailbox",
                _module("waybill_devstack.mailbox", smtp_port=ports.mailbox_smtp, http_port=ports.mailbox),
                {},
                url(ports.mailbox, "/api/messages"),
            ),
            Planned("crm", _module("waybill_devstack.crm", port=ports.crm), {}, url(ports.crm, "/records")),
            service(
                "status",
                ports.status,
                WAYBILL_OPS_ADDRESS=OPS_ADDRESS,
                WAYBILL_PUBLIC_URL=gateway_url,
                **ledger,
                **persons,
            ),
            service("deadletters", ports.deadletters, **ledger),
            service(
                "email",
                ports.email,
                WAYBILL_SMTP_HOST=LOOPBACK,
                WAYBILL_SMTP_PORT=str(ports.mailbox_smtp),
                WAYBILL_SMTP_TLS="none",
                WAYBILL_SENDER="Waybill <no-reply@example.com>",
            ),
            service("images", ports.images, **store),
            service("sync", ports.sync, WAYBILL_TARGETS=json.dumps({"crm": url(ports.crm)})),
            Planned(
                "gateway",
                _module("waybill_gateway"),
                every
                | ledger
                | persons
                | store
                | {
                    "WAYBILL_HOST": LOOPBACK,
                    "WAYBILL_PORT": str(ports.gateway),
                    "WAYBILL_SYNC_TARGETS": json.dumps(["crm"]),
                    "WAYBILL_RESET_LINK": f"{gateway_url}/reset?token={{token}}",
                },
                url(ports.gateway, "/readyz"),
                ports.gateway,
            ),
        ),
        every
        | store
        | {
            "WAYBILL_INBOX_URL": f"sqlite:///{state}/inbox-{{service}}.db",
            "WAYBILL_LOG_FORMAT": "console",  # it is read by a person, in a terminal
        },
    )


def _kept_key(path: Path) -> str:
    """Returns a key of this stack, made at its first start and kept: later starts open what it sealed."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Keyring.new_key())
        path.chmod(0o600)
    return path.read_text()


def url(port: int, path: str = "") -> str:
    """The loopback URL of a port."""
    return f"http://{LOOPBACK}:{port}{path}"


def _module(name: str, **options: int) -> tuple[str, ...]:
    flags = [f"--{option.replace('_', '-')}={value}" for option, value in options.items()]
    return (sys.executable, "-m", name, *flags)
