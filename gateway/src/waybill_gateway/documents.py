"""The committed documents of both interfaces, HTTP and messages; `make schemas` writes them."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from waybill_gateway.app import create_app
from waybill_gateway.docs import asyncapi_document
from waybill_gateway.settings import GatewaySettings

#: Their folder in the source tree; an installed gateway serves the documents, and has no such folder.
FOLDER: Final = Path(__file__).resolve().parents[3] / "docs"


def current_documents() -> Mapping[str, str]:
    """File name to text of each document, as the code describes it now."""
    # Nothing is opened before the application starts, so none of these has to exist.
    settings = GatewaySettings(ledger_url="sqlite:///unused.db", object_store_url="memory:///")
    documents = {"openapi.json": create_app(settings).openapi(), "asyncapi.json": asyncapi_document()}
    return {
        name: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in documents.items()
    }


def main() -> None:
    """Writes the documents."""
    for name, text in current_documents().items():
        (FOLDER / name).write_text(text)
    sys.stdout.write(f"wrote {', '.join(current_documents())} to {FOLDER}\n")


if __name__ == "__main__":
    main()
