"""Results as replies of the PostgREST dialect."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, assert_never
from urllib.parse import quote

import orjson

from router import WHOLE_ROWS, Result, ServerPlan, Stream
from server.exchange import Reply, Request
from server.rest import exact_json
from server.rest.desk import Filled
from server.rest.errors import FeatureMissing, NotSingular, RangeUnsatisfiable
from server.rest.page import content_range, rows_of_page
from server.rest.pieces import ARRAY, Framing, RowPieces
from server.rest.postgrest.media import Media
from server.rest.postgrest.plan_media import PlanMedia, plans_body

Headers = tuple[tuple[str, str], ...]

ROW_SEPARATOR: Final = ", \n "
"""What `json_agg` puts between rows."""

VARY: Final = ("Vary", "Accept, Prefer, Range")

_FEATURES: Final = Framing(
    '{"type": "FeatureCollection", "features": [',
    ROW_SEPARATOR,
    "]}",
    '{"type": "FeatureCollection", "features": []}',
)
"""RFC 7946, 3.3."""

_URL_SAFE: Final = "%/?#[]@!$&'()*+,;=:\"{}|\\^`<>"
"""What is left alone in a URL that is percent-encoded already."""

_QUOTABLE: Final = " '(),.:;!?/=+*"
"""What text in a header may hold besides letters and digits."""

_RECORD_SPECIAL: Final = re.compile(r'[\s,()"\\]')


def content(result: Result, media: Media, names: Sequence[str]) -> bytes:
    """The rows in a representation; `names` are the columns of CSV.

    Raises:
        NotSingular: One object was asked for, and there is another number of rows.
    """
    if media.single and result.row_count != 1:
        raise NotSingular(result.row_count)
    match media:
        case Media.JSON | Media.ARRAY:
            return result.body.encode()
        case Media.OBJECT:
            return result.body[1:-1].encode()
        case Media.ARRAY_STRIPPED:
            return f"[{_stripped(result.body)}]".encode()
        case Media.OBJECT_STRIPPED:
            return _stripped(result.body).encode()
        case Media.CSV:
            return csv(names, orjson.loads(result.body)).encode()
        case Media.GEOJSON:
            return f"{_FEATURES.opening}{_features(result.body, names)}{_FEATURES.closing}".encode()
        case _:
            assert_never(media)


def _features(body: str, names: Sequence[str]) -> str:
    """Rows of a JSON array as features: the first geometry apart, all else as properties."""
    found: list[str] = []
    for row in exact_json.loads(body):
        geometry = row.pop(names[0])
        feature = {"type": "Feature", "geometry": geometry, "properties": row}
        found.append(exact_json.dumps(feature))
    return ROW_SEPARATOR.join(found)


def _stripped(body: str) -> str:
    """The rows of an array without null members, as `json_strip_nulls` writes them."""
    try:
        rows = exact_json.loads(body)
        return ROW_SEPARATOR.join(exact_json.dumps(exact_json.without_nulls(row)) for row in rows)
    except RecursionError as error:
        raise FeatureMissing("nulls=stripped of values that nest so deep") from error


def csv(names: Sequence[str], rows: Iterable[Mapping[str, str | None]]) -> str:
    """A header line, then each row as PostgreSQL prints it within parentheses."""
    header = ",".join(_csv_value(name) for name in names)
    return "\n".join([header, *_csv_lines(names, rows)])


def _csv_lines(names: Sequence[str], rows: Iterable[Mapping[str, str | None]]) -> Iterable[str]:
    return [",".join(_csv_value(row[name]) for name in names) for row in rows]


def _csv_value(text: str | None) -> str:
    if text is None:
        return ""
    if text and _RECORD_SPECIAL.search(text) is None:
        return text
    doubled = text.replace("\\", "\\\\").replace('"', '""')
    return f'"{doubled}"'


def read(request: Request, result: Result, filled: Filled, media: Media, extra: Headers) -> Reply:
    """The reply to a read: 206 when there are more rows than these, and a count says so.

    Raises:
        RangeUnsatisfiable: The page begins behind the last row.
        NotSingular: One object was asked for, and there is another number of rows.
    """
    total, offset = result.total, filled.page.offset
    _check_offset(offset, total)
    body = content(result, media, filled.template.names)
    status = 206 if total is not None and result.row_count < total else 200
    headers = (
        ("Content-Range", content_range(offset, result.row_count, total)),
        ("Content-Location", _location(request)),
        VARY,
        *extra,
    )
    return Reply(status, b"" if request.method == "HEAD" else body, media.content_type, headers)


def _check_offset(offset: int, total: int | None) -> None:
    if total is not None and offset > total:
        raise RangeUnsatisfiable(
            f"An offset of {offset} was requested, but there are only {total} rows.", total=total
        )


def warned(warnings: Iterable[str]) -> Headers:
    """What the client had better write another way, as HTTP says it: RFC 7234, 5.5."""
    return tuple(
        ("Warning", f'299 - "{quote(text, safe=_QUOTABLE)}"') for text in dict.fromkeys(warnings)
    )


def planned(request: Request, plans: Sequence[ServerPlan], explained: PlanMedia) -> Reply:
    """PostgreSQL's plans in place of rows."""
    body = b"" if request.method == "HEAD" else plans_body(plans, explained.options)
    return Reply(200, body, explained.content_type, (VARY,))


async def streamed(  # noqa: PLR0913, PLR0917 - what a reply is made of
    request: Request,
    stream: Stream,
    filled: Filled,
    media: Media,
    extra: Headers,
    estimated: int | None = None,
) -> Reply:
    """The reply to a read whose rows come in pieces: how many, only a count can tell before.

    Raises:
        RangeUnsatisfiable: The page begins behind the last row.
        NotSingular: One object was asked for. The rows are counted for it, and not kept.
    """
    if media.single:
        raise NotSingular(await _counted(stream))
    offset, total = filled.page.offset, stream.total
    status, extent = 200, f"{offset}-*/*"
    if estimated is not None:
        # how many there are is not known, but that they are more than are answered whole
        estimated = max(estimated, offset + WHOLE_ROWS + 1)
        rows = rows_of_page(filled.page, estimated)
        status, extent = 206 if rows < estimated else 200, f"{offset}-*/{estimated}"
    elif total is not None:
        _check_offset(offset, total)
        rows = rows_of_page(filled.page, total)
        status, extent = 206 if rows < total else 200, content_range(offset, rows, total)
    headers = (
        ("Content-Range", extent),
        ("Content-Location", _location(request)),
        VARY,
        *extra,
    )
    pieces = RowPieces(stream, _framing(media, filled.template.names))
    return Reply(status, b"", media.content_type, headers, pieces)


async def _counted(stream: Stream) -> int:
    return sum([piece.row_count async for piece in stream])


def _framing(media: Media, names: Sequence[str]) -> Framing:
    if media is Media.CSV:
        return Framing(
            csv(names, ()) + "\n",
            "\n",
            "",
            csv(names, ()),
            lambda text: "\n".join(_csv_lines(names, orjson.loads(f"[{text}]"))),
        )
    if media is Media.GEOJSON:
        return _FEATURES._replace(rows=lambda text: _features(f"[{text}]", names))
    if media is Media.ARRAY_STRIPPED:
        return ARRAY._replace(rows=lambda text: _stripped(f"[{text}]"))
    return ARRAY


def _location(request: Request) -> str:
    """The relation and its parameters, sorted by name."""
    location = _relation(request)
    query = request.query
    if "&" in query:
        parts = (part for part in query.split("&") if part)
        query = "&".join(sorted(parts, key=lambda part: part.partition("=")[0]))
    if query:
        location = f"{location}?{query}"
    if location.isascii() and location.isprintable():
        return location
    return quote(location, safe=_URL_SAFE)


def _relation(request: Request) -> str:
    return "/" + request.path.removesuffix("/").rpartition("/")[2]


def key_location(request: Request, result: Result) -> Headers:
    """Where the one new row is found, whose key is the result; nothing if there is no such row."""
    if result.row_count != 1:
        return ()
    row: Mapping[str, str] = orjson.loads(result.body)[0]
    key = "&".join(
        f"{quote(name, safe='')}=eq.{quote(value, safe='')}" for name, value in row.items()
    )
    return (("Location", f"{quote(_relation(request), safe=_URL_SAFE)}?{key}"),)


def written(
    status: int, body: bytes | None, media: Media, headers: Iterable[tuple[str, str]]
) -> Reply:
    """The reply to a write: its rows if it has a body, else nothing."""
    if body is None:
        return Reply(status, headers=(*headers, VARY))
    return Reply(status, body, media.content_type, (*headers, VARY))
