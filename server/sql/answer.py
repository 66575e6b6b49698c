"""Answers of the SQL door as JSON. PostgreSQL made the values; nothing here reads a number."""

import json
from collections.abc import Sequence
from typing import Any, Final

import orjson

from router import OutputColumn, Result, Served
from server.rest import exact_json
from server.sql.errors import ColumnsAlike, ValueTooDeep
from server.sql.question import Layout


class _Pairs(list[tuple[str, Any]]):
    """A JSON object whose names may be alike, in its order."""

    __slots__ = ()


_DECODER: Final = json.JSONDecoder(
    parse_int=exact_json.Number, parse_float=exact_json.Number, object_pairs_hook=_Pairs
)


def check_names(columns: tuple[OutputColumn, ...], layout: Layout) -> None:
    """Refuse, before anything runs, names that an object could not hold.

    Raises:
        ColumnsAlike: Two columns have one name.
    """
    if layout is Layout.ROWS:
        return
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            raise ColumnsAlike(column.name)
        seen.add(column.name)


def answer_text(
    result: Result, columns: tuple[OutputColumn, ...], layout: Layout, *, served_by: bool
) -> str:
    """One statement's answer, as a JSON object.

    Raises:
        ValueTooDeep: Rows were asked for, and a JSON value among them nests too deep.
    """
    served = result.served if served_by else ()
    rows = rows_text(result.body, layout)
    return f"{opening_text(columns)}{rows}{ending_text(result.row_count, served)}"


def opening_text(columns: tuple[OutputColumn, ...]) -> str:
    """What stands before the rows."""
    named = orjson.dumps([{"name": name, "type": kind} for name, kind in columns]).decode()
    return f'{{"columns":{named},"rows":'


def rows_text(body: str, layout: Layout) -> str:
    """A JSON array of objects as the layout has it.

    Raises:
        ValueTooDeep: Arrays were asked for, and a JSON value among the rows nests too deep.
    """
    return body if layout is Layout.JSON else _arrays(body)


def ending_text(row_count: int, served: Sequence[Served]) -> str:
    """What stands behind the rows: how many there are, and who gave them, if that is told."""
    if not served:
        return f',"row_count":{row_count}}}'
    listed = [
        {
            "shard": one.shard,
            "endpoint": one.endpoint,
            "role": "replica" if one.replica else "primary",
        }
        for one in served
    ]
    return f',"row_count":{row_count},"served_by":{orjson.dumps(listed).decode()}}}'


def _arrays(body: str) -> str:
    """The rows of a JSON array of objects as arrays of their values."""
    try:
        rows = _DECODER.decode(body)
        texts = (",".join([_text(value) for _, value in row]) for row in rows)
        return f"[{','.join([f'[{text}]' for text in texts])}]"
    except RecursionError as error:
        raise ValueTooDeep from error


def _text(value: Any) -> str:
    match value:
        case exact_json.Number():
            return value
        case str():
            return exact_json.encode(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case _Pairs():
            pairs = [f"{exact_json.encode(name)}:{_text(item)}" for name, item in value]
            return f"{{{','.join(pairs)}}}"
        case _:
            return f"[{','.join([_text(item) for item in value])}]"
