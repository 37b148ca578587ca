"""`python -m ledger upgrade`: brings the ledger's schema up to this release."""

import argparse
import os
import sys

from ledger.migrate import upgrade


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m ledger", description="Looks after the ledger's schema.")
    commands = parser.add_subparsers(dest="command", required=True)
    upgrading = commands.add_parser("upgrade", help="bring the schema up to this release")
    upgrading.add_argument(
        "--url",
        default=os.environ.get("WAYBILL_LEDGER_URL"),
        help="the ledger's database (default: WAYBILL_LEDGER_URL)",
    )
    arguments = parser.parse_args()
    if not arguments.url:
        upgrading.error("say where the ledger is: --url or WAYBILL_LEDGER_URL")
    sys.stdout.write(f"the ledger is at revision {upgrade(arguments.url)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
