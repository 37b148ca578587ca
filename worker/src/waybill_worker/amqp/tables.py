"""Header tables of AMQP: the types that our headers have; tables with any other are left to pamqp."""

from functools import lru_cache
from struct import Struct
from typing import Any, Final

from pamqp import decode, encode

_LENGTH: Final = Struct(">I")
_LONG: Final = Struct(">q")
_TEXT: Final = Struct(">cI")
#: Integers of a byte, as they are written.
_BYTE_MIN, _BYTE_MAX = -128, 127
_BYTES: Final = {number: Struct(">cb").pack(b"b", number) for number in range(_BYTE_MIN, _BYTE_MAX + 1)}
#: Types of values by their byte (pamqp has the list), and the structs of numbers.
_IS_TEXT, _IS_TRUTH = ord("S"), ord("t")
_NUMBERS: Final = {
    ord("b"): Struct(">b"),
    ord("s"): Struct(">h"),
    ord("I"): Struct(">i"),
    ord("l"): _LONG,
}


def write_table(table: dict[str, Any]) -> bytes:
    """The bytes of a header table.

    Raises:
        TypeError: a value has a type that AMQP does not know.
    """
    parts = []
    for name, value in sorted(table.items()):
        parts.append(_written_name(name))
        kind = type(value)
        if kind is str:
            text = value.encode()
            parts.append(_TEXT.pack(b"S", len(text)) + text)
        elif kind is int and _BYTE_MIN <= value <= _BYTE_MAX:
            parts.append(_BYTES[value])
        else:
            parts.append(encode.encode_table_value(value))
    written = b"".join(parts)
    return _LENGTH.pack(len(written)) + written


def read_table(data: bytes, at: int) -> tuple[dict[str, Any], int]:
    """A header table, and where it ends.

    Args:
        data: of one frame; it has the table, and may go on after it.
        at: where the table begins.

    Raises:
        ValueError: it is malformed; so do the other errors of `MALFORMED`.
    """
    begin = at
    (length,) = _LENGTH.unpack_from(data, at)
    at += 4
    end = at + length
    if end > len(data):
        raise ValueError("a table is longer than its frame")
    table: dict[str, Any] = {}
    while at < end:
        after = at + 1 + data[at]
        name = data[at + 1 : after].decode()
        kind = data[after]
        at = after + 1
        if kind == _IS_TEXT:
            (length,) = _LENGTH.unpack_from(data, at)
            after = at + 4 + length
            if after > end:
                raise ValueError("a text is longer than its table")
            table[name] = _text(data[at + 4 : after])
            at = after
        elif (number := _NUMBERS.get(kind)) is not None:
            (table[name],) = number.unpack_from(data, at)
            at += number.size
        elif kind == _IS_TRUTH:
            table[name] = bool(data[at])
            at += 1
        else:
            _, table = decode.field_table(data[begin:])
            at = end
    if at != end:
        raise ValueError("the last value of a table is longer than the table")
    return table, end


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw  # as pamqp does


@lru_cache(maxsize=1024)
def _written_name(name: str) -> bytes:
    # Of a table without a value: the name is what lies between the length and the type.
    return encode.field_table({name: None})[_LENGTH.size : -1]
