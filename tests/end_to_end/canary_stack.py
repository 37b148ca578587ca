"""`python canary_stack.py FOLDER`: a stack as talkative as it can be, to look for what it must not say.

From standard input it is told, as JSON, where its broker is, which of its databases are not files, and what
differs in the settings. It is up when it says so, and until SIGINT.
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
    """What standard input tells."""

    amqp_url: str
    databases: dict[str, str]
    settings: dict[str, str]


async def _stay_up(folder: Path, wishes: Wishes) -> None:
    folders, told = Folders(folder), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, told.set)
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
            await told.wait()


if __name__ == "__main__":
    asyncio.run(_stay_up(Path(sys.argv[1]), Wishes.model_validate_json(sys.stdin.read())))
