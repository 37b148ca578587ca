"""`python -m waybill_deploy secrets`, `… databases` and `… accounts`: prepare an installation."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from waybill_contracts.privacy import Keyring
from waybill_contracts.registry import built_in_registry
from waybill_database import reason_of, until_reachable
from waybill_deploy.databases import prepare, prepare_inboxes, registry_in
from waybill_deploy.secret_files import Places, SecretFiles
from waybill_ledger import SchemaError
from waybill_ledger.access import make_missing_keys


def main() -> int:
    """Runs the command line; returns 0 on success, 1 on failure."""
    arguments = _parser().parse_args()
    if arguments.command == "key":
        sys.stdout.write(f"{Keyring.new_key()}\n")
        return 0
    try:
        sys.stdout.write(f"{_COMMANDS[arguments.command](arguments, SecretFiles(arguments.folder))}\n")
    except (OSError, ValueError, psycopg.Error, SQLAlchemyError, SchemaError) as error:
        sys.stderr.write(f"{arguments.command}: {reason_of(error)}\n")
        return 1
    return 0


def _make_secrets(arguments: argparse.Namespace, files: SecretFiles) -> str:
    # There is no ledger yet, or none that can be reached from here. Services that were registered since the
    # first start have their folders.
    files.make_missing(Places(arguments.broker, arguments.database), built_in_registry())
    return f"secrets are in {arguments.folder}"


def _prepare_databases(arguments: argparse.Namespace, files: SecretFiles) -> str:
    _wait_for_the_server(arguments, files)
    keys = list(files.first_keys())
    revision = prepare(files.superuser_url(), files.ledger_url(), files.database_urls())
    make_missing_keys(files.ledger_url(), keys)
    return f"the databases are ready; the ledger is at revision {revision}"


def _make_accounts(arguments: argparse.Namespace, files: SecretFiles) -> str:
    _wait_for_the_server(arguments, files)
    registry = registry_in(files.ledger_url())
    files.make_missing(Places(arguments.broker, arguments.database), registry)
    prepare_inboxes(files.superuser_url(), files.database_urls())
    names = sorted(name for name, service in registry.services.items() if not service.is_retired)
    return (
        f"{', '.join(names)}: secrets and inboxes are ready. Give the broker its users: "
        "rabbitmqctl import_definitions of rabbitmq/definitions.json"
    )


def _wait_for_the_server(arguments: argparse.Namespace, files: SecretFiles) -> None:
    until_reachable(
        str(files.superuser_url()), lambda line: sys.stderr.write(f"{arguments.command}: {line}\n")
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m waybill_deploy", description="Prepares an installation.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("key", help="print a new key for WAYBILL_SEALING_KEYS or WAYBILL_PERSONS_KEY")
    making = commands.add_parser("secrets", help="create missing passwords, URLs and broker users")
    preparing = commands.add_parser(
        "databases", help="create roles and databases; upgrade the schema of the ledger"
    )
    accounts = commands.add_parser(
        "accounts",
        help="create what registered services need, while the installation runs: folders of secrets, broker "
        "users, inboxes",
    )
    for command in (making, accounts):
        for name, default in (("broker", "rabbitmq:5672"), ("database", "postgres:5432")):
            command.add_argument(
                f"--{name}", default=default, metavar="HOST:PORT", help="default: %(default)s"
            )
    for command in (making, preparing, accounts):
        command.add_argument("--folder", type=Path, required=True, help="folder of the secrets")
    return parser


_COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace, SecretFiles], str]]] = {
    "secrets": _make_secrets,
    "databases": _prepare_databases,
    "accounts": _make_accounts,
}


if __name__ == "__main__":
    sys.exit(main())
