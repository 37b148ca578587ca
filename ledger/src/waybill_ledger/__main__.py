"""`python -m waybill_ledger upgrade` and `… key`: upgrades the schema, and creates keys."""

import argparse
import os
import re
import sys
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from waybill_database import is_unavailable, reason_of, until_reachable
from waybill_ledger.access import KEY_NAME_PATTERN, Scope, Secret, make_missing_keys, new_key
from waybill_ledger.migrations import upgrade
from waybill_ledger.schema import DEFAULT_TENANT, TENANT_PATTERN, SchemaError


def main() -> int:
    """Runs the command line."""
    parser = _parser()
    arguments = parser.parse_args()
    if not arguments.url:
        parser.error("say where the ledger is: --url or WAYBILL_LEDGER_URL")
    try:
        until_reachable(arguments.url, lambda line: sys.stderr.write(f"{arguments.command}: {line}\n"))
        if arguments.command == "upgrade":
            sys.stdout.write(f"the ledger is at revision {upgrade(arguments.url)}\n")
        else:
            sys.stdout.write(f"{_made(arguments)}\n")
    except (SchemaError, ValueError) as error:
        sys.stderr.write(f"{arguments.command}: {error}\n")
        return 1
    except SQLAlchemyError as error:
        if not is_unavailable(error):
            raise
        sys.stderr.write(f"{arguments.command}: the database cannot be used: {reason_of(error)}\n")
        return 1
    return 0


def _made(arguments: argparse.Namespace) -> str:
    """The token of a new key."""
    secret = Secret.new()
    request = new_key(
        secret,
        name=arguments.name,
        scopes=arguments.scope,
        actor="python -m waybill_ledger key",
        tenant=arguments.tenant,
    )
    make_missing_keys(arguments.url, [request])
    return secret.token


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m waybill_ledger", description="Upgrades the ledger and creates keys."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    upgrading = commands.add_parser("upgrade", help="upgrade the schema to this release")
    making = commands.add_parser(
        "key",
        help="create an API key, such as the first one",
        description="Creates an API key and writes only its token to standard output.",
    )
    making.add_argument(
        "--name",
        required=True,
        type=_fits(KEY_NAME_PATTERN, "1 to 64 printable ASCII characters"),
        help="name of its user, for people",
    )
    making.add_argument(
        "--scope",
        required=True,
        action="append",
        type=Scope,
        choices=list(Scope),
        metavar="SCOPE",
        help=f"scope of the key, may be repeated: {', '.join(Scope)}",
    )
    making.add_argument(
        "--tenant",
        default=DEFAULT_TENANT,
        type=_fits(TENANT_PATTERN, "1 to 63 small letters, digits and hyphens, no hyphen first"),
        help="owner of the tasks that it creates and sees (default: %(default)s)",
    )
    for command in (upgrading, making):
        command.add_argument(
            "--url",
            default=os.environ.get("WAYBILL_LEDGER_URL"),
            help="the ledger's database (default: WAYBILL_LEDGER_URL)",
        )
    return parser


def _fits(pattern: str, words: str) -> Callable[[str], str]:
    """Check of an argument against a pattern of the API, described by `words`."""

    def checked(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise argparse.ArgumentTypeError(f"{value!r} is not {words}")
        return value

    return checked


if __name__ == "__main__":
    sys.exit(main())
