"""The golden JSON Schemas of all messages; `make schemas` writes them."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from waybill_contracts.kinds import CATALOG
from waybill_contracts.registry import breaking_changes
from waybill_contracts.wire import CancelRequested, LifecycleEvent

#: The golden files are next to the source, so that a change is visible in a review.
GOLDEN_FOLDER = Path(__file__).resolve().parents[3] / "schemas"

_ADDRESS: Final = r"pattern was not set, now ^[^@\s]+@[^@\s]+$"
#: Rules that the models of a version have had from its beginning, and that its schema said only later: no
#: message of the version was ever written that breaks them.
SAID_LATER: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "email.requested.v1.json": frozenset(
            {"the message: allOf is new or has changed", f".to: {_ADDRESS}", f".reply_to: {_ADDRESS}"}
        ),
        "password_reset.requested.v1.json": frozenset({f".email: {_ADDRESS}"}),
        "user.created.v1.json": frozenset({f".email: {_ADDRESS}"}),
    }
)


def newly_refused(name: str, before: str, now: str) -> list[str]:
    """What a golden schema allowed and its current text may refuse, one line each."""
    changes = breaking_changes(json.loads(before), json.loads(now))
    return [line for line in changes if line not in SAID_LATER.get(name, ())]


def current_schemas() -> Mapping[str, str]:
    """File name -> JSON text of the current schema of each contract."""
    models = {f"{kind}.v{entry.event.VERSION}": entry.event for kind, entry in CATALOG.items()}
    schemas = {name: model.model_json_schema() for name, model in models.items()}
    schemas["lifecycle.v1"] = LifecycleEvent.model_json_schema()
    schemas["cancel_requested.v1"] = CancelRequested.model_json_schema()
    return {
        f"{name}.json": json.dumps(schema, indent=2, sort_keys=True) + "\n"
        for name, schema in schemas.items()
    }


def main() -> int:
    """Writes the golden files; those of older versions stay unchanged.

    Returns:
        Exit code: 0; 1, without writing, if a contract would refuse what its version has allowed so far.
    """
    GOLDEN_FOLDER.mkdir(exist_ok=True)
    refused = False
    for name, text in current_schemas().items():
        golden = GOLDEN_FOLDER / name
        for line in newly_refused(name, golden.read_text(), text) if golden.exists() else ():
            refused = True
            sys.stderr.write(f"{name}: {line}\n")
    if refused:
        sys.stderr.write("This release could not read messages in transit: raise the VERSION of the event.\n")
        return 1
    for name, text in current_schemas().items():
        (GOLDEN_FOLDER / name).write_text(text)
    sys.stdout.write(f"wrote {len(current_schemas())} schemas to {GOLDEN_FOLDER}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
