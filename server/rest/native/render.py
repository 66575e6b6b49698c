"""Results as replies of the native API."""

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

import orjson

from router import WHOLE_ROWS, Result, Schema, Stream
from server.exchange import Reply
from server.rest.native.paths import PREFIX
from server.rest.page import content_range, rows_of_page
from server.rest.pieces import ARRAY, RowPieces
from server.rest.prefer import applied
from server.rest.request import Page

JSON: Final = "application/json"

Headers = tuple[tuple[str, str], ...]


def array(body: str, status: int = 200, headers: Headers = ()) -> Reply:
    """A JSON array, as PostgreSQL wrote it."""
    return Reply(status, body.encode(), JSON, headers)


def streamed(stream: Stream, page: Page, told: "Told", estimated: int | None = None) -> Reply:
    """A JSON array in pieces. It has no ETag: that would have to be sent before it."""
    total = stream.total
    if estimated is not None:
        # there are more rows than are answered whole, whatever was expected
        total = max(estimated, page.offset + WHOLE_ROWS + 1)
    rows = 0 if total is None else rows_of_page(page, total)
    headers = _counts(page.offset, rows, total, told)
    return Reply(200, content_type=JSON, headers=headers, pieces=RowPieces(stream, ARRAY))


def first(body: str, status: int = 200, headers: Headers = ()) -> Reply:
    """The one row of a JSON array."""
    return Reply(status, body[1:-1].encode(), JSON, headers)


def affected(rows: int, status: int, headers: Headers = ()) -> Reply:
    """The number of rows that a write changed."""
    return Reply(status, orjson.dumps({"affected": rows}), JSON, headers)


def deleted(result: Result, headers: Headers) -> Reply:
    """What a bulk delete removed."""
    body = f'{{"affected":{result.row_count},"records":{result.body}}}'
    return Reply(200, body.encode(), JSON, headers)


def batch_headers(rows: int) -> Headers:
    """What answers to batches say of their size."""
    return (("Content-Range", f"*/{rows}"), ("X-Affected-Count", str(rows)))


class Told(NamedTuple):
    """What a reply says of the preferences that were followed."""

    counted: str = "exact"
    """How rows were counted, where they were."""
    consistent: str | None = None
    """How consistent the read was, where that was asked for."""


def count_headers(offset: int, result: Result, told: Told) -> Headers:
    """The page and the total, where there is a total."""
    return _counts(offset, result.row_count, result.total, told)


def _counts(offset: int, rows: int, total: int | None, told: Told) -> Headers:
    consistent = told.consistent
    if total is None:
        return () if consistent is None else applied((("consistency", consistent),))
    return (
        ("Content-Range", content_range(offset, rows, total)),
        *applied((("count", told.counted), ("consistency", consistent))),
    )


def revalidated(reply: Reply, if_none_match: str | None) -> Reply:
    """The reply with a weak ETag of its body; 304 without a body if the client has that one."""
    digest = hashlib.blake2b(reply.body, digest_size=12).hexdigest()
    tag = f'W/"{digest}"'
    headers = (*reply.headers, ("ETag", tag))
    if if_none_match is not None and _matches(if_none_match, digest):
        return Reply(304, headers=headers)
    return Reply(reply.status, reply.body, reply.content_type, headers)


def _matches(if_none_match: str, digest: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or f'"{digest}"' in tags


def headed(reply: Reply) -> Reply:
    """The same without its body, for HEAD."""
    return Reply(reply.status, b"", reply.content_type, reply.headers)


def catalog(schema: Schema, schemas: Iterable[str]) -> Reply:
    """The tables of these schemas, as far as they are exposed, for administrators."""
    wanted = frozenset(schemas) & frozenset(schema.exposed)
    listed = [
        {
            "schema": table.schema,
            "name": table.relation,
            "type": table.kind.name.lower(),
            "path": f"{PREFIX}/{table.schema}/{table.relation}",
            "columns": [
                {
                    "name": column.name,
                    "type": column.type,
                    "nullable": not column.not_null,
                    "has_default": column.has_default,
                    "generated": column.generated,
                }
                for column in table.columns.values()
            ],
            "primary_key": list(table.primary_key),
            "rls_enabled": table.rls,
        }
        for table in schema.tables.values()
        if table.schema in wanted
    ]
    return Reply(200, orjson.dumps(listed), JSON)
