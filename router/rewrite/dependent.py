"""GROUP BY a primary key, over rows of which PostgreSQL does not know that it is one.

There `SELECT id, note FROM orders GROUP BY id` is legal, because `note` depends on the key. Over
fetched rows, or over a sub-select that holds a table to a tenant, it is not, so the columns that depend on it are added to GROUP BY: the groups stay
the same.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from sqlglot import TokenType
from sqlglot import expressions as exp

from router.analysis.scopes import folded, quoted
from router.analysis.tables import Located
from router.analysis.whole_rows import is_whole_row
from router.errors import UnsupportedAcrossShards
from router.rewrite.conjuncts import has_bare_columns
from router.rewrite.splice import Edit, insertion
from router.schema import Column, Table

_GROUPABLE: Final = frozenset(
    """
    int2 int4 int8 numeric float4 float8 money oid bool text varchar bpchar name "char" bytea uuid
    date time timetz timestamp timestamptz interval inet cidr macaddr macaddr8 "bit" varbit jsonb
    tsvector tsquery int4range int8range numrange tsrange tstzrange daterange pg_lsn
    """.split()
)
"""Types that GROUP BY can compare; json, xml and geometry are none."""


def groupable(column: Column) -> bool:
    """Whether GROUP BY certainly can compare values of the column."""
    return column.category == "E" or column.type.removesuffix("[]") in _GROUPABLE


def dependent_edits(
    tables: tuple[Located, ...], replaced: Iterable[Located] | None = None
) -> Iterator[Edit]:
    """Edits that add to each GROUP BY what depends on the primary key of a `replaced` table.

    Replaced by rows are all sharded tables, unless it is said which.

    Raises:
        UnsupportedAcrossShards: Such a column cannot be grouped by, it is not certain which
            table's key GROUP BY names, or a whole row depends on it.
    """
    for located in tables if replaced is None else replaced:
        table = located.table
        if located.tenant_column is None or table is None or not table.primary_key:
            continue
        owner = located.use.node.find_ancestor(exp.Select)
        group = owner.args.get("group") if owner is not None else None
        if owner is None or not isinstance(group, exp.Group):
            continue
        grouped = list(_grouped(owner, group))
        if not set(table.primary_key) <= {folded(column.this) for column in grouped}:
            continue
        missing = _missing(owner, located, table, grouped)
        if not missing:
            continue
        bare = has_bare_columns(located, tables)
        own = {folded(column.this) for column in grouped if _is_certain(column, located, bare=bare)}
        clause = located.use.region.clauses.get(TokenType.GROUP_BY)
        if clause is None or not set(table.primary_key) <= own or _is_set(group):
            raise UnsupportedAcrossShards("GROUP BY a primary key where it stands")
        for name in missing:
            if not groupable(table.columns[name]):
                raise UnsupportedAcrossShards(
                    f"column {name}, of a type that cannot be grouped by, beside GROUP BY"
                )
        yield insertion(
            clause.end, "".join(f", {located.use.alias}.{quoted(name)}" for name in missing)
        )


def _grouped(owner: exp.Select, group: exp.Group) -> Iterator[exp.Column]:
    """The columns that GROUP BY names, by name, number or the name of an output."""
    for item in group.expressions:
        node: exp.Expr = item
        while isinstance(node, exp.Paren):
            node = node.this
        if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdecimal():
            at = int(node.this) - 1
            if not 0 <= at < len(owner.expressions):
                continue
            node = owner.expressions[at].unalias()
        for found in node.expressions if isinstance(node, exp.Tuple) else (node,):
            if isinstance(found, exp.Column) and isinstance(found.this, exp.Identifier):
                yield found


def _is_set(group: exp.Group) -> bool:
    return any(value for name, value in group.args.items() if name != "expressions")


def _missing(
    owner: exp.Select, located: Located, table: Table, grouped: Iterable[exp.Column]
) -> list[str]:
    """Columns that the SELECT may use outside aggregates and that GROUP BY does not name."""
    named = {folded(column.this) for column in grouped}
    parts = [*owner.expressions, owner.args.get("having"), owner.args.get("order")]
    used: set[str] = set()
    for part in parts:
        for node in part.find_all(exp.Column, exp.Star) if part is not None else ():
            if _aggregated(node, owner):
                continue
            if isinstance(node, exp.Star):
                used |= table.columns.keys()
            elif is_whole_row(node, located):
                raise UnsupportedAcrossShards("a whole row beside GROUP BY its table's key")
            elif isinstance(node.this, exp.Identifier):
                used.add(folded(node.this))
    return [name for name in table.columns if name in used - named]


def _aggregated(node: exp.Expr, owner: exp.Select) -> bool:
    """Whether an aggregate of this very SELECT stands around the column, or it is `count(*)`."""
    at = node.parent
    while at is not None and at is not owner and not isinstance(at, exp.Query):
        if isinstance(at, exp.AggFunc):
            return True
        at = at.parent
    return False


def _is_certain(column: exp.Column, located: Located, *, bare: bool) -> bool:
    qualifier = column.args.get("table")
    return bare if qualifier is None else quoted(folded(qualifier)) == located.use.alias
