"""Groups of one sharded table, computed in part on each shard and put together by one.

Each shard groups its rows by all columns that the statement uses outside aggregates, and sends one
row for each such group with its partial aggregates. The final statement is the original over these
rows: its own GROUP BY, HAVING, DISTINCT and ORDER BY, with each aggregate replaced by the one that
puts its parts together. So PostgreSQL groups, compares and divides, and whatever is not certain here
is no error: the whole rows are fetched instead.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlglot import TokenType
from sqlglot import expressions as exp

from router.analysis.parse import Parsed
from router.analysis.scopes import Region, folded, quoted
from router.analysis.tables import Located
from router.rewrite.aggregates import Part, Whole, all_named, part_of
from router.rewrite.conjuncts import (
    columns_qualified,
    conjuncts,
    is_of_one_table,
    parameters_numbered,
    spliced_part,
)
from router.rewrite.dependent import groupable
from router.rewrite.outputs import alias_edits
from router.rewrite.pull_up import ROW, Arguments, Fetch, relation_of
from router.rewrite.simple import simple_select
from router.rewrite.splice import Edit
from router.schema import Column, Table

_EXACT: Final = frozenset(
    "int2 int4 int8 bool date time timestamp timestamptz uuid bytea oid".split()
)
"""Types of which equal values look the same; 1.5 and 1.50 do not, nor do -0 and 0."""

_PART: Final = "part {}"
"""What the columns of parts are called in the final statement."""


@dataclass(frozen=True, slots=True)
class Partial:
    """What each shard sends, and the edits that make the statement one over that."""

    fetch: Fetch
    edits: tuple[Edit, ...]
    args: tuple[int, ...]
    """The statement's arguments that the final text takes, counted from 0."""


def partial(
    parsed: Parsed, region: Region, tables: tuple[Located, ...], arguments: Arguments
) -> Partial | None:
    """The statement in two steps; None: it cannot certainly be taken apart.

    `arguments` are the fetch's; they are used only if the statement is taken apart.
    """
    simple = simple_select(parsed, tables)
    if simple is None:
        return None
    tree, located, table = simple
    found = _Taken(parsed, tree, region, located, table)
    return found.partial(arguments) if found.known() else None


@dataclass(slots=True)
class _Taken:
    """One statement being taken apart."""

    parsed: Parsed
    tree: exp.Select
    region: Region
    located: Located
    table: Table
    wholes: list[Whole] = field(default_factory=list)
    """The aggregates that are replaced."""
    kept: list[str] = field(default_factory=list)
    """Columns that are used outside those, in their order in the table."""

    def known(self) -> bool:
        """Whether every aggregate, column and condition of the statement is understood."""
        tree = self.tree
        grouped = tree.args.get("group") is not None or tree.args.get("distinct") is not None
        aggregates = list(tree.find_all(exp.AggFunc))
        if not (grouped or aggregates) or not all_named(self.parsed, aggregates):
            return False
        for node in aggregates:
            whole = part_of(self.parsed, node, self.table)
            if whole is None:
                return False
            if whole.parts:
                self.wholes.append(whole)
        return self._columns() and self._condition_known() and self._rest_may_be_null()

    def _columns(self) -> bool:
        names = {
            folded(item.args["alias"])
            for item in self.tree.expressions
            if isinstance(item, exp.Alias)
        }
        used: set[str] = set()
        for star in self.tree.find_all(exp.Star):
            if not isinstance(star.parent, exp.Count):
                return False
        for column in self.tree.find_all(exp.Column):
            if not isinstance(column.this, exp.Identifier):
                return False
            qualifier = column.args.get("table")
            if column.args.get("db") is not None or (
                qualifier is not None and quoted(folded(qualifier)) != self.located.use.alias
            ):
                return False
            name = folded(column.this)
            if name in self.table.columns:
                if not self._is_gone(column):
                    used.add(name)
            elif qualifier is not None or name not in names:
                return False
        self.kept = [name for name in self.table.columns if name in used]
        return all(groupable(self.table.columns[name]) for name in self.kept)

    def _is_gone(self, column: exp.Column) -> bool:
        """Whether the column stands in WHERE, or in an aggregate that is replaced."""
        start = column.this.meta["start"]
        where = self.region.clauses.get(TokenType.WHERE)
        spans = [(whole.start, whole.end) for whole in self.wholes]
        if where is not None:
            spans.append((where.start, where.end))
        return any(first <= start < end for first, end in spans)

    def _condition_known(self) -> bool:
        where = self.tree.args.get("where")
        return where is None or (
            bool(conjuncts(self.parsed, self.region, where))
            and where.find(exp.AggFunc) is None
            and is_of_one_table(where, self.located, (self.located,))
        )

    def _rest_may_be_null(self) -> bool:
        """Columns that are not kept travel as NULL, which a domain may forbid."""
        if any(name.startswith("part ") for name in self.table.columns):
            return False
        return not any(
            column.domain and column.not_null and name not in self.kept
            for name, column in self.table.columns.items()
        )

    def partial(self, arguments: Arguments) -> Partial | None:
        """The statement taken apart; None: an output's name is not known."""
        parts: dict[str, str] = {}
        """The type of each part by its text: equal aggregates stay equal expressions."""
        replaced: list[Edit] = []
        for whole in self.wholes:
            mine = []
            for part in whole.parts:
                text = self._part_text(part, arguments)
                parts[text] = part.type
                name = _PART.format(list(parts).index(text) + 1)
                mine.append(f"{self.located.use.alias}.{quoted(name)}")
            replaced.append(Edit(whole.start, whole.end, whole.combined(mine)))
        aliases = alias_edits(self.parsed, self.tree, self.region)
        if aliases is None:
            return None
        where = self.region.clauses.get(TokenType.WHERE)
        if where is not None:
            replaced.append(Edit(where.start, where.end, ""))
        final = Arguments(1, {})
        numbered = [
            edit
            for edit in parameters_numbered(
                self.parsed, 0, len(self.parsed.sql), lambda number: number
            )
            if not any(gone.start <= edit.start < gone.end for gone in replaced)
        ]
        numbered = [
            Edit(edit.start, edit.end, f"${final.number(int(edit.text[1:]))}") for edit in numbered
        ]
        source = self._source(len(final.used) + 1, list(parts.values()))
        fetch = Fetch(
            self.located.name,
            relation_of(self.located),
            self._fetched(list(parts), arguments),
            1 + len(parts),
            tuple(self.table.columns),
        )
        return Partial(fetch, (*replaced, *aliases, *numbered, source), final.indices)

    def _source(self, first: int, types: Sequence[str]) -> Edit:
        """The fetched arrays in place of the table, columns of one source."""
        node = self.located.use.node
        begin: exp.Expr = node.args.get("db") or node.this
        alias = node.args.get("alias")
        end = alias.this if alias is not None else node.this
        arrays = [f"pg_catalog.unnest(${first}::text::{relation_of(self.located)}[])"]
        arrays += [
            f"pg_catalog.unnest(${first + number}::text::{kind}[])"
            for number, kind in enumerate(types, 1)
        ]
        names = [_PART.format(number) for number in range(1, len(types) + 1)]
        columns = ", ".join(quoted(name) for name in (*self.table.columns, *names))
        return Edit(
            begin.meta["start"],
            end.meta["end"] + 1,
            f"ROWS FROM ({', '.join(arrays)}) AS {self.located.use.alias}({columns})",
        )

    def _fetched(self, parts: Sequence[str], arguments: Arguments) -> str:
        relation = relation_of(self.located)
        values = ", ".join(
            f"{ROW}.{quoted(name)}" if name in self.kept else "NULL" for name in self.table.columns
        )
        outputs = [f"ROW({values})::{relation} AS c0"]
        outputs += [f"{part} AS c{number}" for number, part in enumerate(parts, 1)]
        sql = f"SELECT {', '.join(outputs)} FROM {relation} AS {ROW}"
        where = self.region.clauses.get(TokenType.WHERE)
        if where is not None:
            condition = self._text(where.content, where.end, self.tree.args["where"], arguments)
            sql += f" WHERE {condition.strip()}"
        if self.kept:
            return f"{sql} GROUP BY {', '.join(self._keys())}"
        return f"{sql} HAVING count(*) > 0"  # a shard without rows has nothing to say

    def _keys(self) -> Iterator[str]:
        for name in self.kept:
            yield f"{ROW}.{quoted(name)}"
            if not is_exact(self.table.columns[name]):
                yield f'{ROW}.{quoted(name)}::text COLLATE "C"'

    def _part_text(self, part: Part, arguments: Arguments) -> str:
        return f"{part.before}{self._text(part.start, part.end, part.node, arguments)}{part.after}"

    def _text(self, start: int, end: int, node: exp.Expr, arguments: Arguments) -> str:
        """A part of the statement's text as it stands in the fetch."""
        edits = [
            *columns_qualified((node,), ROW),
            *parameters_numbered(self.parsed, start, end, arguments.number),
        ]
        return spliced_part(self.parsed.sql, start, end, edits)


def is_exact(column: Column) -> bool:
    """Whether two values of the column that are equal are the same in every respect."""
    if column.category == "S":
        return column.mergeable
    return column.category == "E" or column.type in _EXACT
