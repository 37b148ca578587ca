"""AMQP header tables as JSON and back, so that the headers of a letter keep their types.

A value without a JSON type is an object with one key that begins with `$`.
"""

import base64
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any

#: Deepest nesting of headers that is kept; the broker writes two levels.
MAX_DEPTH = 10


def to_json(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - one line a type
    """An AMQP value as JSON.

    Raises:
        TypeError: the value has no AMQP type.
    """
    if depth > MAX_DEPTH:
        return {"$cut": "nested too deep"}
    match value:
        case None | bool() | str() | int():
            return value
        case float():
            return value if isfinite(value) else {"$float": str(value)}
        case bytes() | bytearray():
            return {"$bytes": base64.b64encode(value).decode()}
        case datetime():
            return {"$time": value.isoformat()}
        case Decimal():
            return {"$decimal": str(value)}
        case list() | tuple():
            return [to_json(each, depth + 1) for each in value]
        case Mapping():
            table = {str(name): to_json(each, depth + 1) for name, each in value.items()}
            return {"$table": table} if any(name.startswith("$") for name in table) else table
        case _:
            raise TypeError(f"{type(value).__name__} is no AMQP type")


def from_json(value: Any) -> Any:  # noqa: PLR0911 - one line a type
    """An AMQP value from its JSON; reverses `to_json`."""
    match value:
        case {"$float": text}:
            return float(text)
        case {"$bytes": text}:
            return base64.b64decode(text)
        case {"$time": text}:
            return datetime.fromisoformat(text)
        case {"$decimal": text}:
            return Decimal(text)
        case {"$table": table}:
            return {name: from_json(each) for name, each in table.items()}
        case dict():
            return {name: from_json(each) for name, each in value.items()}
        case list():
            return [from_json(each) for each in value]
        case _:
            return value
