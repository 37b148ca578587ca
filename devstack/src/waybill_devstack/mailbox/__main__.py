"""`python -m waybill_devstack.mailbox --smtp-port P --http-port P [--host H]`: runs until SIGTERM."""

import argparse
import asyncio

from waybill_devstack.mailbox.faults import Faults
from waybill_devstack.mailbox.http import create_app
from waybill_devstack.mailbox.mails import Mails
from waybill_devstack.mailbox.smtp import Handler, start_smtp
from waybill_devstack.processes import listen, print_line, serve_until_stopped
from waybill_testkit.machine import LOOPBACK


async def run(host: str, smtp_port: int, http_port: int) -> None:
    """Listen on both ports until SIGTERM or SIGINT."""
    mails, faults = Mails(), Faults()
    http_listener = listen(host, http_port)
    smtp = await start_smtp(listen(host, smtp_port), Handler(mails, faults, report=print_line))
    smtp_address, http_address = smtp.sockets[0].getsockname(), http_listener.getsockname()
    print_line(
        f"mailbox: smtp on {smtp_address[0]}:{smtp_address[1]}, http://{http_address[0]}:{http_address[1]}/"
    )
    try:
        await serve_until_stopped(create_app(mails, faults), http_listener)
    finally:
        smtp.close()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        prog="python -m waybill_devstack.mailbox", description="A development mail server."
    )
    parser.add_argument("--smtp-port", type=int, required=True, help="mails come in here (0: any free port)")
    parser.add_argument("--http-port", type=int, required=True, help="GET / shows them (0: any free port)")
    parser.add_argument("--host", default=LOOPBACK)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.host, arguments.smtp_port, arguments.http_port))


if __name__ == "__main__":
    main()
