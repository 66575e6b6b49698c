"""A write on several shards as a plan: what each shard runs, and in which order rows come back."""

import json
import re
from collections.abc import Sequence
from typing import Final

from router.analysis.query import (
    CopyForm,
    NotTogether,
    Param,
    Piece,
    Query,
    Records,
    Reply,
    SpreadForm,
    ValueRows,
)
from router.backends import Access, Part, ShardQuery, Together
from router.errors import SeveralShardsWritten, StatementNotUnderstood
from router.fences import Entries
from router.plans.plan import Collect, EveryShard, Plan, Route, Single
from router.statement import JsonRows, Statement
from shardmap import ShardId

Args = tuple[object, ...]


def spread(  # noqa: PLR0913, PLR0917 - what a plan depends on
    query: Query,
    statement: Statement,
    route: Route,
    shards: Sequence[ShardId],
    owners: Sequence[ShardId],
    entries: Sequence[Entries],
) -> Plan:
    """The plan of a write on these shards; `owners` are those of an insert's rows, in order.

    `entries` are what each shard's part enters.

    Raises:
        SeveralShardsWritten: It is of a form that cannot be run on them together.
    """
    form = query.together
    if not isinstance(form, SpreadForm):
        raise refusal(form)
    queries = [
        part._replace(entries=within)
        for part, within in zip(
            _queries(query, form, statement, shards, owners), entries, strict=True
        )
    ]
    parts = tuple(map(Part, shards, queries))
    ordered = not isinstance(form.given, Records) or form.given.ordered
    order = tuple(map(list(shards).index, owners)) if owners and ordered else None
    return Plan(
        route,
        queries[0],
        Collect(order),
        query.reply,
        query.total,
        Together(parts, statement.exactly, unique=query.unique),
    )


def copied(query: Query, statement: Statement, shards: Sequence[ShardId]) -> Plan:
    """The plan of a write of a reference table: run on the first shard, taken over by the others.

    Raises:
        SeveralShardsWritten: It is of a form that cannot be copied.
    """
    form = query.together
    if not isinstance(form, CopyForm):
        raise refusal(form)
    first, *others = shards
    run = _shard_query(query, form.sql, sent(statement.args))
    follow = ShardQuery(form.follow, (), Access.WRITE, query.claims)
    parts = (Part(first, run), *(Part(shard, follow) for shard in others))
    return Plan(
        EveryShard(tuple(shards)),
        run,
        Single(),
        query.reply,
        query.total,
        Together(parts, statement.exactly, form.table),
    )


def refusal(form: object) -> SeveralShardsWritten:
    """Why the write is not run on several shards."""
    if isinstance(form, NotTogether):
        return SeveralShardsWritten(form.reason, hint=form.hint)
    return SeveralShardsWritten("the write concerns several shards")


def sent(args: Args) -> Args:
    """The arguments as the driver takes them."""
    for arg in args:
        if type(arg) is JsonRows:
            return tuple(arg.text if isinstance(arg, JsonRows) else arg for arg in args)
    return args


def _queries(
    query: Query,
    form: SpreadForm,
    statement: Statement,
    shards: Sequence[ShardId],
    owners: Sequence[ShardId],
) -> list[ShardQuery]:
    args = sent(statement.args)
    match form.given:
        case ValueRows() as rows:
            return [
                _shard_query(query, *_own_rows(rows, args, [owner == shard for owner in owners]))
                for shard in shards
            ]
        case Records(index):
            texts = _own_records(statement.args[index], shards, owners)
            return [
                _shard_query(query, form.sql, (*args[:index], text, *args[index + 1 :]))
                for text in texts
            ]
        case None:
            return [_shard_query(query, form.sql, args)] * len(shards)


def _shard_query(query: Query, sql: str, args: Args) -> ShardQuery:
    count = 1 if query.reply is Reply.ENVELOPE else None
    return ShardQuery(sql, args, Access.WRITE, query.claims, row_count_column=count)


def _own_rows(rows: ValueRows, args: Args, mine: Sequence[bool]) -> tuple[str, Args]:
    """The text with one shard's rows alone, and the arguments that are named in it."""
    own = [row for row, is_mine in zip(rows.rows, mine, strict=True) if is_mine]
    numbers: dict[int, int] = {}
    texts = [_numbered(piece, numbers) for piece in (rows.head, *own, rows.tail)]
    text = f"{texts[0]}{', '.join(texts[1:-1])}{texts[-1]}"
    return text, tuple(args[index] for index in numbers)


def _numbered(piece: Piece, numbers: dict[int, int]) -> str:
    """The text with its parameters numbered in the order in which they are met."""
    found = []
    for each in piece:
        if isinstance(each, Param):
            found.append(f"${numbers.setdefault(each.index, len(numbers) + 1)}")
        else:
            found.append(each)
    return "".join(found)


def _own_records(given: object, shards: Sequence[ShardId], owners: Sequence[ShardId]) -> list[str]:
    """One JSON array for each shard, of the texts of its records as they were written."""
    if not isinstance(given, JsonRows):
        raise StatementNotUnderstood("rows for an insert must be given as JsonRows")
    texts = elements(given.text)
    if len(texts) != len(owners):
        raise StatementNotUnderstood("the text of the rows is not the rows that were read from it")
    return [
        "["
        + ",".join(text for text, owner in zip(texts, owners, strict=True) if owner == shard)
        + "]"
        for shard in shards
    ]


_SCAN: Final = json.JSONDecoder(
    parse_int=str, parse_float=str, parse_constant=str, strict=False
).raw_decode
_SPACE: Final = re.compile(r"[ \t\r\n]*")


def elements(text: str) -> list[str]:
    """The texts of a JSON array's elements, untouched.

    Raises:
        StatementNotUnderstood: The text is no JSON array.
    """
    try:
        return list(_elements(text))
    except (ValueError, IndexError, RecursionError) as error:
        raise StatementNotUnderstood("rows for an insert must be a JSON array") from error


def _elements(text: str) -> list[str]:
    at = _behind_space(text, 0)
    if text[at] != "[":
        raise ValueError(text[:1])
    at = _behind_space(text, at + 1)
    found: list[str] = []
    while text[at] != "]":
        _, end = _SCAN(text, at)
        found.append(text[at:end])
        at = _behind_space(text, end)
        if text[at] == ",":
            at = _behind_space(text, at + 1)
        elif text[at] != "]":
            raise ValueError(text[at])
    return found


def _behind_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match is not None else at
