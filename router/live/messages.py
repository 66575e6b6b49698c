"""Messages of PostgreSQL's protocol 3: those that one exchange under one Sync needs.

Values travel as text both ways; the server's own input and output functions read and write them.
Source: PostgreSQL's documentation, chapter "Frontend/Backend Protocol".
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

_INT: Final = struct.Struct("!i")
_SHORT: Final = struct.Struct("!h")
_HEAD: Final = struct.Struct("!Bi")
_NULL: Final = _INT.pack(-1)
_ALL_TEXT: Final = _SHORT.pack(0)
"""No format codes: all parameters, or all results, are text."""

EXECUTE: Final = b"E\x00\x00\x00\x09\x00\x00\x00\x00\x00"
"""Execute the unnamed portal to its end."""
SYNC: Final = b"S\x00\x00\x00\x04"

PARSE_COMPLETE: Final = ord("1")
DATA_ROW: Final = ord("D")
COMMAND_COMPLETE: Final = ord("C")
ERROR: Final = ord("E")
READY: Final = ord("Z")
"""ReadyForQuery."""

Row = tuple[bytes | None, ...]

HEAD_BYTES: Final = _HEAD.size


class Unsendable(ValueError):
    """An argument has no text form that is known here."""


def parse(name: bytes, sql: str) -> bytes:
    """Prepare `sql` under a name; the server finds the parameters' types.

    Raises:
        UnicodeEncodeError: The text holds lone surrogates.
    """
    body = b"%b\x00%b\x00\x00\x00" % (name, sql.encode())
    return b"P%b%b" % (_INT.pack(len(body) + 4), body)


def bind(name: bytes, args: Sequence[object]) -> bytes:
    """Give a prepared statement its arguments, in the unnamed portal.

    Raises:
        Unsendable: An argument is no text, integer, NULL or list of texts.
        UnicodeEncodeError: A text holds lone surrogates.
    """
    parts = [b"\x00%b\x00\x00\x00%b" % (name, _SHORT.pack(len(args)))]
    for arg in args:
        if arg is None:
            parts.append(_NULL)
            continue
        value = arg.encode() if type(arg) is str else _encoded(arg)
        parts += (_INT.pack(len(value)), value)
    parts.append(_ALL_TEXT)
    body = b"".join(parts)
    return b"B%b%b" % (_INT.pack(len(body) + 4), body)


def close(name: bytes) -> bytes:
    """Forget a prepared statement."""
    body = b"S%b\x00" % name
    return b"C%b%b" % (_INT.pack(len(body) + 4), body)


def simple_query(sql: str) -> bytes:
    """Statements without arguments, in the simple protocol."""
    body = sql.encode() + b"\x00"
    return b"Q%b%b" % (_INT.pack(len(body) + 4), body)


def _encoded(arg: object) -> bytes:
    if type(arg) is int:
        return b"%d" % arg
    if type(arg) is list or type(arg) is tuple:
        return array(arg).encode()
    if isinstance(arg, str):  # a kind of it
        return arg.encode()
    raise Unsendable(type(arg).__name__)


def array(items: Sequence[object]) -> str:
    """PostgreSQL's literal of an array of texts, NULLs or integers.

    Raises:
        Unsendable: An item is something else.
    """
    return "{" + ",".join(_item(item) for item in items) + "}"


def _item(item: object) -> str:
    if item is None:
        return "NULL"
    if type(item) is int:
        return str(item)
    if not isinstance(item, str):
        raise Unsendable(type(item).__name__)
    escaped = item.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def head(data: bytes, at: int) -> tuple[int, int]:
    """Kind of the message that begins there, and where the next one begins."""
    kind, length = _HEAD.unpack_from(data, at)
    return kind, at + 1 + length


def row(data: bytes, at: int) -> Row:
    """The values of the DataRow whose body begins at `at`."""
    (count,) = _SHORT.unpack_from(data, at)
    at += 2
    values: list[bytes | None] = []
    for _ in range(count):
        (length,) = _INT.unpack_from(data, at)
        at += 4
        if length < 0:
            values.append(None)
        else:
            values.append(data[at : at + length])
            at += length
    return tuple(values)


def error_fields(data: bytes, at: int, end: int) -> dict[str, str]:
    """The fields of an ErrorResponse, by their one-letter codes."""
    fields = {}
    for part in data[at:end].split(b"\x00"):
        if part:
            fields[chr(part[0])] = part[1:].decode("utf-8", "replace")
    return fields


class Position(NamedTuple):
    """Who answered, and how far it was."""

    in_recovery: bool
    lsn: int


def position(in_recovery: bytes | None, lsn: bytes | None) -> Position:
    """The two last columns of an envelope: `t` or `f`, and `X/Y` in hexadecimal."""
    if lsn is None:
        return Position(in_recovery == b"t", 0)
    high, _, low = lsn.partition(b"/")
    return Position(in_recovery == b"t", (int(high, 16) << 32) | int(low, 16))
