"""`python -m waybill_deploy secrets` and `… databases`: prepare an installation for its first start."""

import argparse
import sys
from pathlib import Path

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from waybill_contracts.privacy import Keyring
from waybill_database import reason_of, until_reachable
from waybill_deploy.databases import prepare
from waybill_deploy.secret_files import Places, SecretFiles
from waybill_ledger import SchemaError
from waybill_ledger.access import make_missing_keys


def main() -> int:
    """Runs the command line; returns 0 on success, 1 on failure."""
    arguments = _parser().parse_args()
    if arguments.command == "key":
        sys.stdout.write(f"{Keyring.new_key()}\n")
        return 0
    files = SecretFiles(arguments.folder)
    try:
        if arguments.command == "secrets":
            files.make_missing(Places(arguments.broker, arguments.database))
            sys.stdout.write(f"secrets are in {arguments.folder}\n")
        else:
            until_reachable(
                str(files.superuser_url()), lambda line: sys.stderr.write(f"{arguments.command}: {line}\n")
            )
            keys = list(files.first_keys())
            revision = prepare(files.superuser_url(), files.ledger_url(), files.database_urls())
            make_missing_keys(files.ledger_url(), keys)
            sys.stdout.write(f"the databases are ready; the ledger is at revision {revision}\n")
    except (OSError, ValueError, psycopg.Error, SQLAlchemyError, SchemaError) as error:
        sys.stderr.write(f"{arguments.command}: {reason_of(error)}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m waybill_deploy", description="Prepares an installation.")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("secrets", help="create missing passwords, URLs and broker users")
    making.add_argument("--broker", default="rabbitmq:5672", metavar="HOST:PORT", help="default: %(default)s")
    making.add_argument(
        "--database", default="postgres:5432", metavar="HOST:PORT", help="default: %(default)s"
    )
    commands.add_parser("key", help="print a new key for WAYBILL_SEALING_KEYS or WAYBILL_PERSONS_KEY")
    preparing = commands.add_parser(
        "databases", help="create roles and databases; upgrade the schema of the ledger"
    )
    for command in (making, preparing):
        command.add_argument("--folder", type=Path, required=True, help="folder of the secrets")
    return parser


if __name__ == "__main__":
    sys.exit(main())
