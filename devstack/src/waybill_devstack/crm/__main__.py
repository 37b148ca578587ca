"""`python -m waybill_devstack.crm --port P [--host H]`: runs until SIGTERM or SIGINT."""

import argparse
import asyncio

from waybill_devstack.crm.faults import Faults
from waybill_devstack.crm.http import create_app
from waybill_devstack.crm.records import Records
from waybill_devstack.processes import listen, print_line, serve_until_stopped
from waybill_testkit.machine import LOOPBACK


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        "python -m waybill_devstack.crm", description="A stand-in for an external system."
    )
    parser.add_argument("--port", type=int, required=True, help="0: any free port")
    parser.add_argument("--host", default=LOOPBACK)
    arguments = parser.parse_args()
    listener = listen(arguments.host, arguments.port)
    host, port = listener.getsockname()
    print_line(f"crm: http://{host}:{port}/")
    asyncio.run(serve_until_stopped(create_app(Records(), Faults(), report=print_line), listener))


if __name__ == "__main__":
    main()
