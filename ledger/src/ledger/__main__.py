"""`python -m ledger upgrade` and `… key`: the schema, and keys where only the database is at hand."""

import argparse
import os
import sys

from ledger.first_keys import make_missing_keys, wish_for
from ledger.keys import Scope, Secret
from ledger.migrate import SchemaError, upgrade
from ledger.tenants import DEFAULT_TENANT


def main() -> int:
    """Runs the command line."""
    parser = _parser()
    arguments = parser.parse_args()
    if not arguments.url:
        parser.error("say where the ledger is: --url or WAYBILL_LEDGER_URL")
    if arguments.command == "upgrade":
        sys.stdout.write(f"the ledger is at revision {upgrade(arguments.url)}\n")
        return 0
    try:
        sys.stdout.write(f"{_made(arguments)}\n")
    except SchemaError as error:
        sys.stderr.write(f"key: {error}\n")
        return 1
    return 0


def _made(arguments: argparse.Namespace) -> str:
    """The token of a new key."""
    secret = Secret.new()
    wish = wish_for(
        secret,
        name=arguments.name,
        scopes=arguments.scope,
        actor="python -m ledger key",
        tenant=arguments.tenant,
    )
    make_missing_keys(arguments.url, [wish])
    return secret.token


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ledger", description="Looks after the ledger.")
    commands = parser.add_subparsers(dest="command", required=True)
    upgrading = commands.add_parser("upgrade", help="bring the schema up to this release")
    making = commands.add_parser(
        "key",
        help="make an API key, such as the first one",
        description="Makes an API key and writes its token, and nothing else, to standard output.",
    )
    making.add_argument("--name", required=True, help="who uses it, for people")
    making.add_argument(
        "--scope",
        required=True,
        action="append",
        type=Scope,
        choices=list(Scope),
        metavar="SCOPE",
        help=f"what it allows, again for another: {', '.join(Scope)}",
    )
    making.add_argument(
        "--tenant", default=DEFAULT_TENANT, help="whose tasks it makes and sees (default: %(default)s)"
    )
    for command in (upgrading, making):
        command.add_argument(
            "--url",
            default=os.environ.get("WAYBILL_LEDGER_URL"),
            help="the ledger's database (default: WAYBILL_LEDGER_URL)",
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
