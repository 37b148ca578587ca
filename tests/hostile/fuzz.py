"""`make fuzz`: schemathesis sends a gateway what its OpenAPI document allows, and what it does not.

The gateway is a process of its own; its ledger holds some tasks and letters, and no broker is there.
`make fuzz ARGS="--max-examples 500 --seed 42"`; arguments are those of `schemathesis run`, and `--ledger-url`
names another database than SQLite, which must be empty. Exits 0 only if every answer was as documented.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from waybill_contracts.privacy.seal import Keyring
from waybill_contracts.wire.lifecycle import ErrorInfo
from waybill_database import Records
from waybill_ledger import Submission, accept
from waybill_ledger.access.first_keys import new_key
from waybill_ledger.access.keys import Scope, Secret, create_keys
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_ledger.migrations.migrate import upgrade
from waybill_testkit.gateway.process import gateway
from waybill_testkit.samples import dead_message, gate_of, new_task, sync_event

CONFIG = Path(__file__).with_name("schemathesis.toml")
#: Letters of two kinds of failure, so that lists, groups and plans have something in them.
FAILURES = ("crm answered 503 to 7", "crm answered 404 to 7") * 3

#: Requests a second: more than are asked.
UNLIMITED = 100_000


def main() -> int:
    """Fuzzes a gateway of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledger-url", help="an empty database; a new SQLite file if not given")
    known, rest = parser.parse_known_args()
    for name in ("WAYBILL_SEALING_KEYS", "WAYBILL_PERSONS_KEY"):
        os.environ.setdefault(name, Keyring.new_key())
    with tempfile.TemporaryDirectory(prefix="waybill-fuzz-") as folder:
        return fuzz(Path(folder), known.ledger_url or f"sqlite:///{folder}/ledger.db", rest).returncode


def fuzz(
    folder: Path, ledger_url: str, arguments: Sequence[str], *, capture_output: bool = False
) -> subprocess.CompletedProcess[str]:
    """Fuzzes a gateway that is started for it.

    Args:
        folder: for its files and its log.
        ledger_url: an empty database.
        arguments: of `schemathesis run`.
        capture_output: instead of showing what it says.
    """
    upgrade(ledger_url)
    token = asyncio.run(_fill(ledger_url))
    with gateway(folder, ledger_url, gateway_auth="keys") as running:
        command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run"]
        return subprocess.run(
            [
                *command,
                f"{running.address}/openapi.json",
                "--continue-on-failure",
                *("--header", f"Authorization: Bearer {token}"),
                *arguments,
            ],
            cwd=folder,
            check=False,
            text=True,
            capture_output=capture_output,
        )


async def _fill(ledger_url: str) -> str:
    """Puts tasks and letters into the ledger, and a key that may do all; gives its token."""
    secret = Secret.new()
    key = new_key(secret, name="fuzz", scopes=Scope, actor="fuzz")
    records = Records(ledger_url)
    try:
        await records.write(create_keys, replace(key, rate=UNLIMITED, burst=UNLIMITED))
        for message in FAILURES:
            task = new_task(sync_event())
            await records.write(accept, Submission(task))
            error = ErrorInfo(type="TransientError", message=message)
            await records.write(
                take_in, letter_of(dead_message(sync_event(), task.id, error=error), gate=gate_of())
            )
    finally:
        await records.close()
    return secret.token


if __name__ == "__main__":
    sys.exit(main())
