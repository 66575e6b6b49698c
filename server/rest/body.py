"""The body of a write: rows as the JSON text that PostgreSQL reads, and as values for routing."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from router import JsonRows
from server.rest import exact_json
from server.rest.errors import BodyInvalid

MAX_DEPTH: Final = 64
"""How deep JSON may nest."""

MALFORMED: Final = "Empty or invalid json"
JSON_TYPES: Final = frozenset(
    {"application/json", "application/vnd.pgrst.object+json", "application/vnd.pgrst.array+json"}
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to be written. `text` is a JSON array of objects, `rows` the same, parsed."""

    text: str
    rows: Sequence[Mapping[str, Any]]
    single: bool
    """The body was one object, not an array."""

    @property
    def argument(self) -> JsonRows:
        """The rows as the argument of an insert."""
        return JsonRows(self.text, self.rows)

    @property
    def keys(self) -> frozenset[str]:
        """All keys of all rows."""
        if len(self.rows) == 1:
            return frozenset(self.rows[0])
        return frozenset().union(*self.rows)

    @property
    def common(self) -> frozenset[str]:
        """The keys that every row has."""
        return frozenset.intersection(*(frozenset(row) for row in self.rows))


def json_rows(body: bytes) -> Rows:
    """One object, or an array of objects.

    Where an object has a key twice the last one counts, as it does in `json_to_recordset`.

    Raises:
        BodyInvalid: It is no JSON, nests too deep, or holds anything but objects.
    """
    parsed, text = _parsed(body)
    if isinstance(parsed, dict):
        return Rows(f"[{text}]", (parsed,), single=True)
    if isinstance(parsed, list) and all(isinstance(row, dict) for row in parsed):
        return Rows(text, parsed, single=False)
    raise BodyInvalid("The body must be a JSON object or an array of objects")


def json_object(body: bytes) -> dict[str, exact_json.Member]:
    """The members of one object, or of the one object in an array, with their exact texts.

    An empty array is an object without members.

    Raises:
        BodyInvalid: It is no JSON, nests too deep, or is not one object.
    """
    parsed, text = _parsed(body)
    if isinstance(parsed, list) and len(parsed) <= 1:
        if not parsed:
            return {}
        parsed, text = parsed[0], text[1:-1]
    if not isinstance(parsed, dict):
        raise BodyInvalid("The body must be one JSON object")
    return exact_json.members(text)


def csv_rows(body: bytes) -> Rows:
    """Rows of CSV: the first line names the columns, `NULL` is null, other values are text.

    Raises:
        BodyInvalid: It is no UTF-8, or its lines have unequal numbers of values.
    """
    try:
        lines = list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BodyInvalid("Empty or invalid csv") from error
    if not lines:
        raise BodyInvalid("Empty or invalid csv")
    header, *records = lines
    records = [record for record in records if record]
    if len(set(header)) != len(header) or any(len(record) != len(header) for record in records):
        raise BodyInvalid("All lines must have same number of fields")
    return _text_rows(
        {
            name: None if value == "NULL" else value
            for name, value in zip(header, record, strict=True)
        }
        for record in records
    )


def form_rows(body: bytes) -> Rows:
    """One row of an HTML form's fields, all text.

    Raises:
        BodyInvalid: It is not percent-encoded UTF-8.
    """
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=1000
        )
    except ValueError as error:
        raise BodyInvalid("Empty or invalid form") from error
    return _text_rows([dict(fields)])


def _text_rows(rows: Iterable[dict[str, str | None]]) -> Rows:
    found = list(rows)
    return Rows(orjson.dumps(found).decode(), found, single=False)


def _parsed(body: bytes) -> tuple[Any, str]:
    try:
        parsed = orjson.loads(body)
        text = body.decode().strip(exact_json.WHITE)
    except (orjson.JSONDecodeError, UnicodeDecodeError) as error:
        raise BodyInvalid(MALFORMED) from error
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _too_deep(parsed):
        raise BodyInvalid(f"The body nests deeper than {MAX_DEPTH} levels")
    return parsed, text


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            children = item.values() if isinstance(item, dict) else item
            inner.extend(child for child in children if isinstance(child, dict | list))
        if not inner:
            return False
        level = inner
    return True
