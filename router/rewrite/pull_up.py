"""A statement's sharded tables, replaced by rows that were fetched from all shards.

The rows travel as one text that PostgreSQL makes and reads: an array of the table's own row type
(`array_agg(…)::text`, `…::text::"s"."t"[]`), so that every value keeps its digits, bounds and
NULLs, and every column its type, collation and name. The rest of the statement stays as it is
written and is computed by one server.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlglot import expressions as exp

from router.analysis.nodes import Nodes
from router.analysis.parse import Parsed
from router.analysis.scopes import Use, quoted
from router.analysis.system_columns import system_column
from router.analysis.tables import Located
from router.errors import UnsupportedAcrossShards
from router.live.preamble import quote_literal
from router.rewrite.conjuncts import (
    Conjunct,
    columns_qualified,
    conjuncts,
    filters_only,
    parameters_numbered,
    spliced_part,
)
from router.rewrite.envelope import POSITION
from router.rewrite.splice import Edit
from shardmap import TableName

ROW: Final = '"r"'
"""The name of the table's row in a fetch."""

OWN_ARGUMENTS: Final = 2
"""A fetch's first arguments: one row more than is allowed, and how many bytes are."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """What each shard sends of one table: a SELECT of `arrays` columns, named c0, c1 and so on."""

    table: TableName
    relation: str
    """Quoted, with its schema."""
    sql: str
    arrays: int = 1
    columns: tuple[str, ...] = ()
    """The table's columns in order, if the texts depend on it."""


@dataclass(slots=True)
class Arguments:
    """The arguments that one text uses, in order of their numbers in it."""

    first: int
    """The number that its first argument gets."""
    used: dict[int, int]
    """Number in the text by number in the statement."""

    def number(self, original: int) -> int:
        """The number in this text of the statement's `$original`."""
        return self.used.setdefault(original, self.first + len(self.used))

    @property
    def indices(self) -> tuple[int, ...]:
        """The statement's arguments, counted from 0, in the order in which the text takes them."""
        return tuple(original - 1 for original in self.used)


def relation_of(located: Located) -> str:
    """The table's quoted name with its schema, which is also the name of its row type."""
    schema, _, _ = located.name.partition(".")
    if located.table is not None:
        schema = located.table.schema
    return f"{quoted(schema)}.{quoted(located.use.relation)}"


def check_pullable(nodes: Nodes, tables: Iterable[Located]) -> None:
    """Refuse what would mean something else over fetched rows than over the table.

    Raises:
        UnsupportedAcrossShards: Names the construct.
    """
    for located in tables:
        if located.tenant_column is None:
            continue
        node = located.use.node
        if located.use.use is not Use.READ:
            raise UnsupportedAcrossShards("a write inside a read")
        if node.args.get("only") or node.args.get("sample"):
            raise UnsupportedAcrossShards("ONLY or TABLESAMPLE of a sharded table")
    for column in nodes.of(exp.Column):
        if column.args.get("db") is not None:
            raise UnsupportedAcrossShards(
                "a column named with its schema", hint="Qualify columns by the table's name alone."
            )
    if (name := system_column(nodes)) is not None:
        raise UnsupportedAcrossShards(f"the system column {name}")


def whole_rows(
    parsed: Parsed, tables: tuple[Located, ...], arguments: Arguments
) -> tuple[Fetch, ...]:
    """One fetch for each sharded table: the whole rows that any of its mentions can need."""
    by_table: dict[TableName, list[Located]] = {}
    for located in tables:
        if located.tenant_column is not None:
            by_table.setdefault(located.name, []).append(located)
    return tuple(
        Fetch(name, relation_of(mentions[0]), _rows_of(parsed, mentions, tables, arguments))
        for name, mentions in by_table.items()
    )


def _rows_of(
    parsed: Parsed,
    mentions: list[Located],
    tables: tuple[Located, ...],
    arguments: Arguments,
) -> str:
    relation = relation_of(mentions[0])
    rows = f"SELECT ({ROW}.*)::{relation} AS c0 FROM {relation} AS {ROW}"
    found = [
        [one for one in conjuncts_of(parsed, located) if filters_only(one, located, tables)]
        for located in mentions
    ]
    if not all(found):
        return rows
    filters = dict.fromkeys(
        tuple(filter_text(parsed, conjunct, arguments) for conjunct in one) for one in found
    )
    alternatives = " OR ".join(f"({' AND '.join(texts)})" for texts in filters)
    return f"{rows} WHERE {alternatives}"


def conjuncts_of(parsed: Parsed, located: Located) -> tuple[Conjunct, ...]:
    """The conditions of the WHERE beside a mention, if they filter its rows one for one."""
    owner = located.use.node.find_ancestor(exp.Select)
    where = owner.args.get("where") if owner is not None else None
    if where is None or not located.use.inner:
        return ()
    return conjuncts(parsed, located.use.region, where)


def filter_text(parsed: Parsed, conjunct: Conjunct, arguments: Arguments) -> str:
    """A condition over one table as it stands in a fetch, in parentheses."""
    start, end = conjunct.start, conjunct.end
    edits = [
        *columns_qualified((conjunct.node,), ROW),
        *parameters_numbered(parsed, start, end, arguments.number),
    ]
    return f"({spliced_part(parsed.sql, start, end, edits)})"


def row_edits(tables: Iterable[Located], numbers: Mapping[TableName, int]) -> Iterator[Edit]:
    """Edits that put argument `$n` of fetched rows where a sharded table is named."""
    for located in tables:
        if located.tenant_column is None:
            continue
        node = located.use.node
        first: exp.Expr = node.args.get("db") or node.this
        text = f"pg_catalog.unnest(${numbers[located.name]}::text::{relation_of(located)}[])"
        if node.args.get("alias") is None:
            text += f" AS {located.use.alias}"
        yield Edit(first.meta["start"], node.this.meta["end"] + 1, text)


def fetch_envelope(fetches: tuple[Fetch, ...]) -> str:
    """One row: what was found, the tables' shape first; see `router.pulled`; then the position.

    One statement for all tables of a shard, so that they are seen in one snapshot. The arrays are
    NULL when there are too many bytes.
    """
    outputs = [_shape(fetches), _known(fetches)]
    sources = []
    for index, fetch in enumerate(fetches):
        name = f"f{index}"
        arrays = range(fetch.arrays)
        outputs += [f"{name}.n", f"{name}.b"]
        outputs += [f"CASE WHEN {name}.b <= $2::bigint THEN {name}.a{at} END" for at in arrays]
        texts = ", ".join(f"array_agg(x.c{at})::text AS a{at}" for at in arrays)
        size = " + ".join(f"coalesce(octet_length(a.a{at}), 0)::bigint" for at in arrays)
        sources.append(
            f"(SELECT a.*, {size} AS b FROM (SELECT count(*) AS n, {texts} FROM"
            f" (SELECT * FROM ({fetch.sql}) AS w LIMIT $1::bigint) AS x) AS a) AS {name}"
        )
    return f"SELECT {', '.join(outputs)}, {POSITION} FROM {', '.join(sources)}"


def _shape(fetches: tuple[Fetch, ...]) -> str:
    """What must be the same on two servers for rows to travel between them as text."""
    columns = (
        "(SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod)), ', '"
        " ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a WHERE a.attrelid ="
        f" {quote_literal(fetch.relation)}::regclass AND a.attnum > 0 AND NOT a.attisdropped)"
        for fetch in fetches
    )
    settings = (
        f"current_setting('{name}')"
        for name in ("server_encoding", "DateStyle", "IntervalStyle", "lc_monetary")
    )
    return f"concat_ws('; ', {', '.join((*settings, *columns))})"


def _known(fetches: tuple[Fetch, ...]) -> str:
    """Whether the columns that the texts count on are there, in their order."""
    tests = (
        "(SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a"
        f" WHERE a.attrelid = {quote_literal(fetch.relation)}::regclass AND a.attnum > 0 AND NOT"
        f" a.attisdropped) = ARRAY[{', '.join(map(quote_literal, fetch.columns))}]"
        for fetch in fetches
        if fetch.columns
    )
    return " AND ".join(tests) or "true"
