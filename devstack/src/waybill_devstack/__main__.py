"""`python -m waybill_devstack up` and `… demo`: the local stack, and the tour on it."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

from waybill_devstack.processes import StartError
from waybill_devstack.stack import (
    USUAL,
    Folders,
    RestartError,
    StackFile,
    choose_ports,
    kept_running,
    restart,
    running,
    running_stack,
)
from waybill_devstack.tour import Compose, ComposeError, ContainersBackstage, Places, take_tour
from waybill_testkit.broker import BrokerError, private_broker
from waybill_testkit.machine import PortTakenError

#: Where state and logs are kept, in the folder that the command is run in.
STATE_FOLDER = ".waybill"


def main() -> int:
    """Runs the command line; returns the exit code, 0 for success."""
    arguments = _parser().parse_args()
    console = Console(highlight=False, soft_wrap=True)
    folders = Folders((Path.cwd() / STATE_FOLDER).resolve())
    command = {"up": _up, "demo": _demo, "tour": _tour, "restart": _restart}[arguments.command]
    try:
        return command(arguments, console, folders)
    except RestartError as error:
        console.print(f"[red]Not restarted.[/red] {error}")
        return 1
    except (BrokerError, ComposeError, PortTakenError, StartError) as error:
        console.print(f"\n[red]The stack did not come up.[/red] {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def _up(arguments: argparse.Namespace, console: Console, folders: Folders) -> int:
    if (stack := running_stack(folders.stackfile)) is not None:
        console.print(f"A stack is up already (process {stack.supervisor}): {stack.gateway}")
        return 1
    ports = choose_ports(arguments)
    state = folders.state("up")
    with private_broker(state / "broker", amqp_url=os.environ.get("AMQP_URL")) as broker:
        console.print(f"broker: {broker.how}")

        async def stay_up() -> None:
            stopping = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stopping.set)
            async with (
                kept_running(broker, lambda line: console.print(f"[bold]{line}[/bold]")),
                running(broker, ports, state, folders.stackfile, console) as stack,
            ):
                _show(console, stack)
                await stopping.wait()
                console.print("\nstopping")

        asyncio.run(stay_up())
    return 0


def _restart(arguments: argparse.Namespace, console: Console, folders: Folders) -> int:
    stack = running_stack(folders.stackfile)
    if stack is None:
        console.print("No stack is up in this folder: start one with `python -m waybill_devstack up`.")
        return 1
    restart(stack, arguments.names)
    console.print("restarted, each new process ready before the old one stopped")
    return 0


def _demo(arguments: argparse.Namespace, console: Console, folders: Folders) -> int:
    if (stack := running_stack(folders.stackfile)) is not None:
        console.print(f"Taking the tour on the stack that is up: {stack.gateway}")
        return asyncio.run(take_tour(Places.of(stack), console))
    ports = choose_ports(arguments)
    state = folders.fresh_state("demo")
    with private_broker(state / "broker", amqp_url=os.environ.get("AMQP_URL")) as broker:
        console.print(f"broker: {broker.how}")

        async def tour(output: Console) -> int:
            async with running(broker, ports, state, folders.stackfile, output) as stack:
                return await take_tour(Places.of(stack), console)

        # The tour prints each step; the output of the processes is in their logs.
        with Path(os.devnull).open("w") as nowhere:
            return asyncio.run(tour(Console(file=nowhere)))


def _tour(_arguments: argparse.Namespace, console: Console, folders: Folders) -> int:
    compose = Compose(Path.cwd(), os.environ | {"COMPOSE_PROFILES": "demo"})
    places = Places(
        gateway=compose.address("gateway", 8000),
        mailbox=compose.address("mailbox", 8000),
        crm=compose.address("crm", 8000),
        backstage=ContainersBackstage(compose),
        folder=folders.fresh_state("tour"),
    )
    places.folder.mkdir(parents=True)
    return asyncio.run(take_tour(places, console))


def _show(console: Console, stack: StackFile) -> None:
    console.print(f"""
[bold]Waybill is up.[/bold]
  [bold]page        {stack.gateway}/ui[/bold]
  API         {stack.gateway}/docs
  mailbox     {stack.mailbox}/
  crm         {stack.crm}/records
  management  {stack.management or "none"}
  logs        {stack.state / "logs"}

  curl -i {stack.gateway}/v1/emails -H 'Content-Type: application/json' \\
       -d '{{"to": "you@example.com", "subject": "Hello", "text": "It works."}}'

Ctrl-C stops all of it.
""")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m waybill_devstack",
        description="All of Waybill on this machine, with a broker of its own.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, does in (("up", "start it and keep it up"), ("demo", "start it, take the tour, stop it")):
        command = commands.add_parser(name, help=does, description=does)
        for server in USUAL:
            command.add_argument(
                f"--{server}-port",
                type=int,
                metavar="PORT",
                help=f"where the {server} listens (default: {USUAL[server]} if it is free, else any)",
            )
    does = "take the tour on the containers of compose.yaml that are up, with the profile demo"
    commands.add_parser("tour", help=does, description=does)
    command = commands.add_parser(
        "restart",
        help="restart processes of the stack that is up, without failing a request",
        description="Restarts one process after the other: the new one is ready before the old one stops.",
    )
    command.add_argument(
        "names", nargs="*", metavar="NAME", help="gateway, email …; default: all but the stand-ins"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
