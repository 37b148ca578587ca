"""Payloads that wait for a service, from the gateway or from a file."""

import base64
import binascii
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import click

from waybill_cli.checking.fit import REDACTED
from waybill_cli.command_line import CommandError, Exit
from waybill_contracts.registry import Registry
from waybill_contracts.wire import names

#: States in which a dead letter may still be sent to a service.
_MAY_BE_SENT: Final = (None, "dead", "redriving")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One payload that a service will have to read."""

    where: str
    id: str
    service: str
    kind: str
    dataschema: str
    body: bytes
    #: Fields whose value was replaced by `REDACTED`.
    hidden: frozenset[str] = field(default_factory=frozenset)


def read_waiting_file(path: str, registry: Registry) -> Iterator[Waiting]:
    """Reads JSON lines: an export of dead letters, or a saved answer of `/v1/contracts/waiting`.

    Raises:
        CommandError: the file cannot be read, or a line is neither.
    """
    try:
        # `-` is standard input.
        with click.open_file(path, encoding="utf-8") as lines:
            yield from _from_lines(path, lines, registry)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(Exit.USAGE, f"{path} cannot be read: {error}") from error


def _from_lines(path: str, lines: Iterable[str], registry: Registry) -> Iterator[Waiting]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
            waiting = _may_be_sent(document, registry)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CommandError(
                Exit.USAGE,
                f"{path}, line {number}, is neither a dead letter nor a waiting payload: {error!r}",
                "Make such a file with `waybill dlq export`.",
            ) from error
        if waiting is not None:
            yield waiting


def _may_be_sent(document: Mapping[str, Any], registry: Registry) -> Waiting | None:
    # A message without a kind can never be sent to a service.
    if document["kind"] is None or document.get("state") not in _MAY_BE_SENT:
        return None
    return read_waiting(document, registry)


def read_waiting(document: Mapping[str, Any], registry: Registry) -> Waiting:
    """A dead letter of an export, or a line of `/v1/contracts/waiting`.

    Raises:
        KeyError: it is neither.
    """
    kind = document["kind"]
    body, hidden = _body(registry.sensitive(kind), document)
    return Waiting(
        where=document.get("where", "dead_letter"),
        id=str(document["id"]),
        service=document["service"],
        kind=kind,
        dataschema=document.get("dataschema") or _dataschema(document),
        body=body,
        hidden=hidden,
    )


def _body(sensitive: Collection[str], document: Mapping[str, Any]) -> tuple[bytes, frozenset[str]]:
    if raw := document.get("body_base64"):
        try:
            return base64.b64decode(raw, validate=True), frozenset()
        except binascii.Error as error:
            raise ValueError("body_base64 is no base64") from error
    payload = document["payload"]
    if not isinstance(payload, dict):
        return json.dumps(payload).encode(), frozenset()
    hidden = frozenset(document.get("redacted") or ()) | {
        name for name, value in payload.items() if value == REDACTED and name in sensitive
    }
    # A placeholder must be present, or an upcaster would miss the field.
    return json.dumps(payload | dict.fromkeys(hidden, REDACTED)).encode(), hidden


def _dataschema(document: Mapping[str, Any]) -> str:
    headers = document.get("headers") or {}
    return str(headers.get(f"{names.CLOUD_EVENTS_PREFIX}dataschema", ""))
