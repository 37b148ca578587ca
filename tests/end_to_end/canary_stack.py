"""`python canary_stack.py FOLDER`: a stack with the most verbose settings, to search its output for secrets.

Reads from standard input, as JSON, the URL of its broker, those of databases that are not files, and changed
settings. Runs until SIGINT.
"""

import asyncio
import signal
import sys
from pathlib import Path

from pydantic import BaseModel
from rich.console import Console

from waybill_devstack.stack.plan import Ports
from waybill_devstack.stack.stack import Folders, running
from waybill_testkit.broker import private_broker
from waybill_testkit.machine.ports import free_ports


class Wishes(BaseModel):
    """Content of standard input."""

    amqp_url: str
    databases: dict[str, str]
    settings: dict[str, str]


async def _stay_up(folder: Path, wishes: Wishes) -> None:
    folders, stopping = Folders(folder), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopping.set)
    state = folders.state("up")

    def database(name: str) -> str:
        return wishes.databases.get(name, f"sqlite:///{state / name}.db")

    console = Console(highlight=False, soft_wrap=True)
    with private_broker(state / "broker", amqp_url=wishes.amqp_url, disposable=True) as broker:
        async with running(
            broker,
            Ports(*free_ports(9)),
            state,
            folders.stackfile,
            console,
            database=database,
            settings=wishes.settings,
        ):
            console.print("Waybill is up.")
            await stopping.wait()


if __name__ == "__main__":
    asyncio.run(_stay_up(Path(sys.argv[1]), Wishes.model_validate_json(sys.stdin.read())))
