"""Chooses the way to a broker."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from waybill_testkit.broker.base import Broker, BrokerError
from waybill_testkit.broker.given import GivenBroker
from waybill_testkit.broker.installation import find_server, install_server, privilege
from waybill_testkit.broker.server import ServerBroker
from waybill_testkit.machine import one_at_a_time

#: Shown at once, also where the output is a file.
_print_now = partial(print, flush=True)


@contextmanager
def private_broker(
    folder: Path,
    *,
    amqp_url: str | None = None,
    management_url: str | None = None,
    may_install: bool = True,
    in_container: bool = False,
    settings: str = "",
    disposable: bool = False,
    say: Callable[[str], None] = _print_now,
) -> Iterator[Broker]:
    """A RabbitMQ that runs for the time of the `with` block.

    In this order: the one that `amqp_url` names; a `rabbitmq-server` that is installed; one from the
    system's package manager, where it may be used without a question (apt-get as root or with passwordless
    sudo); Docker.

    It is synchronous, so that it serves as a session-wide fixture of tests as well as in a stack, where it
    is entered in the main thread before the event loop runs. (On Linux a broker that was started in the
    main thread dies with us even when we are killed.)

    Args:
        folder: for the data, logs and cookie of an installed server; made if missing.
        amqp_url: the value of AMQP_URL, if the caller has one.
        management_url: of the broker that `amqp_url` names.
        may_install: whether the package manager may be used.
        in_container: Docker and nothing else, unless `amqp_url` names one.
        settings: further lines of the `rabbitmq.conf` of an installed server; others know nothing of them.
        disposable: whether its data is of no use afterwards: it is then killed, which saves 6 s.
        say: called with a line of text before a step that takes long.

    Raises:
        BrokerError: no way leads to a broker, or it did not start; the message says what to do.
    """
    if amqp_url:
        broker: Broker = GivenBroker(amqp_url, management_url)
    elif in_container:
        broker = _from_docker(["nothing else was to be tried"])
    else:
        broker = _choose(folder, settings, say, may_install=may_install)
    try:
        broker.start()
        yield broker
    finally:
        if disposable:
            broker.discard()
        broker.close()


def _choose(folder: Path, settings: str, say: Callable[[str], None], *, may_install: bool) -> Broker:
    path = os.environ.get("PATH", os.defpath)
    reasons = ["no rabbitmq-server is installed"]
    program = find_server(path)
    if program is None and may_install:
        # The package manager refuses a second one at the same time.
        with one_at_a_time("installing"):
            program = find_server(path)
            if program is None:
                reasons.append(_install(say))
                program = find_server(path)
    if program is not None:
        return ServerBroker(program, folder, settings)
    return _from_docker(reasons)


def _from_docker(reasons: list[str]) -> Broker:
    # Only here: importing it takes long and reads the environment.
    from waybill_testkit.broker.container import ContainerBroker  # noqa: PLC0415
    from waybill_testkit.machine import why_no_docker  # noqa: PLC0415

    no_docker = why_no_docker()
    if no_docker is None:
        return ContainerBroker()
    reasons.append(f"Docker does not answer: {no_docker}")
    raise BrokerError(
        "Waybill needs a RabbitMQ and found no way to one:\n  - "
        + "\n  - ".join(reasons)
        + "\nDo one of these and try again:\n"
        "  - install it: apt-get install rabbitmq-server, or brew install rabbitmq\n"
        "  - start Docker\n"
        "  - name a running one: AMQP_URL=amqp://user:password@host:5672/"
    )


def _install(say: Callable[[str], None]) -> str:
    """Try the package manager; say why it did not help, if it did not."""
    apt_get = shutil.which("apt-get")
    prefix = privilege() if apt_get else None
    if apt_get is None or prefix is None:
        return "no package manager may be used without asking (apt-get, as root or with passwordless sudo)"
    say("installing rabbitmq-server with apt-get (once, about a minute)")
    try:
        install_server(apt_get, prefix)
    except BrokerError as error:
        return str(error)
    return "apt-get installed a rabbitmq-server that is in no known place"
