"""Whether and how a write can be run on several shards: as it is, on parts of its rows, or copied.

Only what does there together what one PostgreSQL would do; the rest is refused with its reason.
"""

from typing import Final

from sqlglot import expressions as exp

from router.analysis.parse import Parsed
from router.analysis.query import (
    CopyForm,
    NotTogether,
    RecordField,
    Records,
    Reply,
    Source,
    SpreadForm,
)
from router.analysis.scopes import Use, folded
from router.analysis.system_columns import system_column
from router.analysis.tables import Located
from router.rewrite.copies import COPY, giving, removal, upsert
from router.rewrite.envelope import copied_envelope, spread_envelope
from router.rewrite.rows import value_rows
from router.rewrite.splice import Edit, splice
from router.schema import Column, Kind, Table
from shardmap import Reference, Sharded

ONE_TENANT: Final = "Name the tenant, or write one tenant's rows per request."


def spread_form(
    parsed: Parsed,
    tables: tuple[Located, ...],
    keys: tuple[Source, ...],
    reply: Reply,
    edits: tuple[Edit, ...] = (),
) -> SpreadForm | NotTogether:
    """How a write of one sharded table is run on several shards.

    `keys` are the sources of an insert's tenant keys, one for each row of VALUES; `edits` are what
    is spliced into an update or delete.
    """
    tree = parsed.tree
    target = _target(parsed, tables)
    if target is None or not isinstance(tree, exp.Insert | exp.Update | exp.Delete):
        return NotTogether(
            "a SELECT or MERGE that may write or lock cannot run on several shards", ONE_TENANT
        )
    if (column := system_column(parsed.nodes, spared=_tells_new)) is not None:
        return NotTogether(
            f"a write that names the system column {column} cannot run on several shards",
            ONE_TENANT,
        )
    if sum(isinstance(located.placement, Sharded) for located in tables) > 1:
        return NotTogether(
            "a write that reads sharded tables cannot run on several shards", ONE_TENANT
        )
    body = splice(parsed.body, edits)
    sql = spread_envelope(body) if reply is Reply.ENVELOPE else body
    if not isinstance(tree, exp.Insert):
        return SpreadForm(sql)
    return _spread_insert(parsed, tree, target, keys, sql, reply)


def _tells_new(column: exp.Column) -> bool:
    """Whether it is `xmax = 0`, which says of a row that nobody has touched it: the same anywhere."""
    compared = column.parent
    return (
        folded(column.this) == "xmax"
        and isinstance(compared, exp.EQ)
        and isinstance(compared.expression, exp.Literal)
        and str(compared.expression.this) == "0"
    )


def _spread_insert(  # noqa: PLR0913, PLR0917 - one insert with all that is known of it
    parsed: Parsed,
    tree: exp.Insert,
    target: Located,
    keys: tuple[Source, ...],
    sql: str,
    reply: Reply,
) -> SpreadForm | NotTogether:
    rows = tree.args.get("expression")
    if isinstance(rows, exp.Values):
        given = value_rows(parsed, target.use.region, len(keys))
        if given is not None and len(keys) == len(rows.expressions):
            if reply is Reply.ENVELOPE:
                # the envelope is text before and behind: it goes with the head and the tail
                before, _, behind = spread_envelope("\0").partition("\0")
                given = type(given)((before, *given.head), given.rows, (*given.tail, behind))
            return SpreadForm(sql, given)
    elif isinstance(rows, exp.Select):
        match keys:
            case (RecordField(index),) if _once(parsed, index):
                return SpreadForm(sql, Records(index, ordered=_plain(rows)))
    return NotTogether("an insert of this form cannot run on several shards", ONE_TENANT)


def _once(parsed: Parsed, index: int) -> bool:
    """Whether the argument is named in one place only: elsewhere it would mean all rows."""
    named = [
        node
        for node in parsed.tree.find_all(exp.Parameter)
        if isinstance(node.this, exp.Literal) and str(node.this.this) == str(index + 1)
    ]
    return len(named) == 1


def _plain(rows: exp.Select) -> bool:
    """Whether the select gives its records one by one and in their order."""
    kept = {"expressions", "from_", "kind", "hint", "distinct", "operation_modifiers"}
    more = {name for name, value in rows.args.items() if value} - kept
    return not more and not rows.args.get("distinct")


def copy_form(parsed: Parsed, tables: tuple[Located, ...], reply: Reply) -> CopyForm | NotTogether:
    """How a write of a reference table is run on every shard."""
    target = _target(parsed, tables)
    tree = parsed.tree
    if target is None or not isinstance(tree, exp.Insert | exp.Update | exp.Delete):
        return NotTogether("a reference table is written in a form that cannot be copied", _PLAIN)
    if not isinstance(target.placement, Reference) or any(
        not isinstance(located.placement, Reference) for located in tables
    ):
        return NotTogether(
            "a statement cannot write a reference table and name sharded ones", _PLAIN
        )
    table = target.table
    if table is None or table.kind not in {Kind.TABLE, Kind.PARTITIONED}:
        return NotTogether(f"reference table {target.name} is not known to be a table", _PLAIN)
    refusal = _unfit(table) or _changes_key(tree, table)
    if refusal is not None:
        return refusal
    json = reply is Reply.ENVELOPE
    columns = _columns(table, keys_only=isinstance(tree, exp.Delete))
    names = [column.name for column in columns]
    sql = giving(parsed, target.use.region, target.use.alias, names, json=json)
    follow = removal if isinstance(tree, exp.Delete) else upsert
    return CopyForm(
        table=target.name,
        sql=copied_envelope(sql, COPY) if json else sql,
        follow=follow(table, columns),
    )


_PLAIN: Final = "Write one reference table per statement, with INSERT, UPDATE or DELETE."


def _target(parsed: Parsed, tables: tuple[Located, ...]) -> Located | None:
    """The table that the statement itself writes, if it is the only one that is written."""
    tree = parsed.tree
    written = [located for located in tables if located.use.use is not Use.READ]
    if len(written) != 1 or not isinstance(tree, exp.Insert | exp.Update | exp.Delete):
        return None
    if tree.find(exp.Lock) is not None:
        return None
    node = written[0].use.node
    return written[0] if node.find_ancestor(exp.Insert, exp.Update, exp.Delete) is tree else None


def _unfit(table: Table) -> NotTogether | None:
    if not table.primary_key:
        return NotTogether(
            f"reference table {table.name} has no primary key, by which its rows are copied",
            "Give it a primary key.",
        )
    if table.triggered:
        return NotTogether(
            f"reference table {table.name} has triggers or rules, which would run on every shard",
            "Give it defaults or generated columns instead.",
        )
    return None


def _changes_key(tree: exp.Expr, table: Table) -> NotTogether | None:
    """Refuses what would give rows other keys: elsewhere they would not be found."""
    conflict = tree.args.get("conflict")
    assignments = conflict.expressions if isinstance(conflict, exp.OnConflict) else ()
    if isinstance(tree, exp.Update):
        assignments = tree.expressions
    for assignment in assignments:
        if not isinstance(assignment, exp.EQ) or not isinstance(assignment.this, exp.Column):
            return NotTogether(
                "an update of a reference table in a form that cannot be copied", _PLAIN
            )
        if folded(assignment.this.this) in table.primary_key:
            return NotTogether(
                f"the primary key of reference table {table.name} cannot be updated",
                "Insert the new row and delete the old one.",
            )
    return None


def _columns(table: Table, *, keys_only: bool) -> tuple[Column, ...]:
    names = table.primary_key if keys_only else tuple(table.columns) or table.primary_key
    columns = (table.columns[name] for name in names)
    return tuple(column for column in columns if not column.generated or column.identity)
