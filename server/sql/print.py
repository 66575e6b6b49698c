"""An answer of the SQL door for people and spreadsheets: a table, or CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Any, Final

from server.rest import exact_json

LONGEST_CELL: Final = 200
"""Longer values are cut in tables; CSV and JSON have all of them."""


def table_text(answer: dict[str, Any]) -> str:
    """Columns under their names, numbers to the right; how many rows behind them."""
    names = [column["name"] for column in answer["columns"]]
    count = str(answer["row_count"])
    words = f"{count} row" if count == "1" else f"{count} rows"
    if not names:
        return f"({words})\n"
    rows = [[_cut(cell_text(value)) for value in row] for row in answer["rows"]]
    right = [
        bool(answer["rows"])
        and all(isinstance(row[at], exact_json.Number | None) for row in answer["rows"])
        for at in range(len(names))
    ]
    widths = [max(len(row[at]) for row in (names, *rows)) for at in range(len(names))]
    lines = [
        _line(names, widths, [False] * len(names)),
        "-+-".join("-" * width for width in widths),
        *(_line(row, widths, right) for row in rows),
        f"({words})",
    ]
    return "".join(f"{line}\n" for line in lines)


def csv_text(answer: dict[str, Any]) -> str:
    """A line of names, then the rows. NULL is an empty field, empty text is `""`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    if answer["columns"]:
        writer.writerow([column["name"] for column in answer["columns"]])
    for row in answer["rows"]:
        writer.writerow([None if value is None else cell_text(value) for value in row])
    return out.getvalue()


def cell_text(value: Any) -> str:
    """A value as text: that of a string is the string, objects and arrays are JSON."""
    match value:
        case None:
            return ""
        case str():  # numbers too
            return str(value)
        case _:
            return exact_json.dumps(value)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    )
    return " | ".join(padded).rstrip()


def _cut(text: str) -> str:
    shown = text.replace("\n", "\\n")
    return shown if len(shown) <= LONGEST_CELL else f"{shown[: LONGEST_CELL - 1]}…"
