"""The tenant key of inserted rows: where it is among their values, and where it comes from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlglot import expressions as exp

from router.analysis.arms import Arm, arms_of
from router.analysis.assignments import assigned
from router.analysis.lineage import Lineage, Origin, is_tenant
from router.analysis.query import Both, Keys, Param, RecordField, Scope, Source
from router.analysis.scopes import folded
from router.analysis.tables import Located
from router.analysis.tenant_keys import source_of
from router.errors import TenantKeyChanged, UnsupportedAcrossShards
from shardmap import KeyType

_RECORDSETS = frozenset({"json_to_recordset", "jsonb_to_recordset"})

_EXPRESSION = "an insert whose tenant key is an expression"


@dataclass(frozen=True, slots=True)
class Inserted:
    """One insert into a sharded table.

    `columns` are those that its values are for, None for DEFAULT VALUES; `listed`: the text names
    them. `index` None: no value is the tenant's. `sources` are the keys of its rows, without those
    that it takes from the tenant column of a table (`copied`).
    """

    located: Located
    node: exp.Insert
    columns: tuple[str, ...] | None
    listed: bool
    index: int | None
    sources: tuple[Source, ...]
    copied: tuple[Origin, ...]


class InsertReader:
    """Reads the inserts of one statement. `param` is the tenant's position, in a spliced text."""

    def __init__(self, lineage: Lineage, key_type: KeyType, param: int | None) -> None:
        self._lineage = lineage
        self._key_type = key_type
        self._param = param

    def read(self, located: Located, column: str) -> Inserted:
        """The insert whose target this is.

        Raises:
            UnsupportedAcrossShards: The key cannot be known before PostgreSQL runs, or an upsert
                could touch another tenant's row.
            TenantKeyChanged: An upsert changes the key.
        """
        node = located.use.node.find_ancestor(exp.Insert)
        if node is None:
            raise UnsupportedAcrossShards("an insert that is not understood")
        check_conflict(node, located, column)
        target = node.this
        listed = isinstance(target, exp.Schema)
        if node.args.get("default"):
            return Inserted(located, node, None, listed, None, (), ())
        arms = arms_of(node.args.get("expression"))
        if listed:
            columns = tuple(folded(identifier) for identifier in target.expressions)
        else:
            columns = self._columns(located, arms)
        if column not in columns:
            return Inserted(located, node, columns, listed, None, (), ())
        index = columns.index(column)
        last = listed and index == len(columns) - 1
        found = [each for arm in arms for each in self._keys(arm, index, last=last)]
        sources = tuple(each for each in found if not isinstance(each, Origin))
        copied = tuple(each for each in found if isinstance(each, Origin))
        return Inserted(located, node, columns, listed, index, sources, copied)

    def _columns(self, located: Located, arms: tuple[Arm, ...]) -> tuple[str, ...]:
        """The columns that values are for when none are named: the table's first ones."""
        if located.table is None or not located.table.columns:
            raise UnsupportedAcrossShards(
                "an insert without a column list", hint="Name the columns of the insert."
            )
        names = tuple(located.table.columns)
        width = self._width(arms[0])
        if not 0 < width <= len(names):
            raise UnsupportedAcrossShards(f"an insert of {width} columns into {located.name}")
        return names[:width]

    def _width(self, arm: Arm) -> int:
        if isinstance(arm, exp.Values):
            first = arm.expressions[0]
            return len(first.expressions) if isinstance(first, exp.Tuple) else 1
        outputs = self._lineage.outputs(arm)
        if outputs is None:
            raise UnsupportedAcrossShards(
                "an insert of * without a column list", hint="Name the columns."
            )
        return len(outputs)

    def _keys(self, arm: Arm, index: int, *, last: bool) -> Iterator[Source | Origin]:
        """The key in each row.

        PostgreSQL insists on as many values as columns are named, so the last one gets the last
        value, whatever a star before it stands for.
        """
        if isinstance(arm, exp.Values):
            for row in arm.expressions:
                items = row.expressions if isinstance(row, exp.Tuple) else [row]
                _check_places(items[:index])
                yield from self._key(items[index] if index < len(items) else None, arm)
        elif last and arm.expressions and arm.expressions[-1].find(exp.Star) is None:
            yield from self._key(arm.expressions[-1], arm)
        elif any(item.find(exp.Star) is not None for item in arm.expressions[: index + 1]):
            yield from self._behind_star(arm, index)
        else:
            yield from self._key(
                arm.expressions[index] if index < len(arm.expressions) else None, arm
            )

    def _behind_star(self, arm: exp.Select, index: int) -> tuple[Source | Origin, ...]:
        outputs = self._lineage.outputs(arm)
        if outputs is None or index >= len(outputs):
            raise UnsupportedAcrossShards(
                "an insert whose tenant key stands behind a *", hint="Name the columns."
            )
        output = outputs[index]
        if output.expression is not None:
            return self._key(output.expression, arm)
        if output.origin is None or not is_tenant(output.origin):
            raise UnsupportedAcrossShards(_EXPRESSION)
        return (output.origin,)

    def _key(self, value: exp.Expr | None, arm: Arm) -> tuple[Source | Origin, ...]:
        if value is None:
            raise UnsupportedAcrossShards(_EXPRESSION)
        while isinstance(value, exp.Alias):
            value = value.this
        source = source_of(value, self._key_type) or self._record(value, arm)
        if source is not None:
            return (source,)
        if not isinstance(arm, exp.Select):
            raise UnsupportedAcrossShards(_EXPRESSION)
        origin = self._lineage.origin(value, arm)
        if origin is not None and is_tenant(origin):
            return (origin,)
        return sources_of_values(value, arm, self._lineage, self._key_type, _EXPRESSION)

    def _record(self, value: exp.Expr, arm: Arm) -> RecordField | None:
        """A field of a record, also when the tenant in context stands in for a missing one."""
        if not isinstance(arm, exp.Select):
            return None
        if isinstance(value, exp.Coalesce) and self._param is not None:
            rest = [source_of(item, self._key_type) for item in value.expressions]
            if rest == [Param(self._param)]:
                value = value.this
        return record_field(arm, value)


def sources_of_values(
    value: exp.Expr, owner: exp.Expr, lineage: Lineage, key_type: KeyType, construct: str
) -> tuple[Source, ...]:
    """The sources of a column of `(VALUES …) AS x(a, b)`, one for each of its rows.

    Raises:
        UnsupportedAcrossShards: It is no such column, or one of its values is not known.
    """
    found = [source_of(item, key_type) for item in lineage.values(value, owner)]
    sources = tuple(source for source in found if source is not None)
    if not sources or len(sources) != len(found):
        raise UnsupportedAcrossShards(construct)
    return sources


def record_field(rows: exp.Select, projection: exp.Expr) -> RecordField | None:
    """`x."column"` of a sole `FROM json_to_recordset($n) AS x(…)`."""
    from_ = rows.args.get("from_")
    if not isinstance(projection, exp.Column) or from_ is None or rows.args.get("joins"):
        return None
    table = from_.this
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Anonymous):
        return None
    call = table.this
    if call.name.lower() not in _RECORDSETS or len(call.expressions) != 1:
        return None
    value = call.expressions[0]
    while isinstance(value, exp.Cast):
        value = value.this
    if not isinstance(value, exp.Parameter):
        return None
    param = source_of(value, KeyType.TEXT)
    alias = table.args.get("alias")
    if not isinstance(param, Param) or alias is None or projection.args.get("table") is None:
        return None
    if folded(projection.args["table"]) != folded(alias.this):
        return None
    return RecordField(param.index, folded(projection.this))


def _check_places(before: list[exp.Expr]) -> None:
    """A star stands for several columns: what follows it has another place in the row."""
    if any(item.find(exp.Star) is not None for item in before):
        raise UnsupportedAcrossShards(
            "an insert whose tenant key stands behind a *", hint="Name the columns."
        )


def check_conflict(node: exp.Insert, located: Located, column: str) -> None:
    """Refuse a conflict clause that could touch another tenant's row, or change a key.

    Raises:
        UnsupportedAcrossShards: The conflict target lacks the tenant column.
        TenantKeyChanged: DO UPDATE gives the tenant column another value.
    """
    conflict = node.args.get("conflict")
    if not isinstance(conflict, exp.OnConflict) or not conflict.expressions:
        return
    if column not in _conflict_columns(conflict, located):
        raise UnsupportedAcrossShards(
            "an upsert whose conflict target lacks the tenant column",
            hint=f"Name a unique key that contains {column}.",
        )
    for name, value in assigned(conflict.expressions):
        if name == column and (value is None or not _is_excluded(value, column)):
            raise TenantKeyChanged("an upsert cannot change a row's tenant key")


def _conflict_columns(conflict: exp.OnConflict, located: Located) -> frozenset[str]:
    constraint = conflict.args.get("constraint")
    if constraint is not None:
        known = located.table.constraints if located.table is not None else {}
        return frozenset(known.get(folded(constraint), ()))
    return frozenset(
        folded(key.this.this)
        for key in conflict.args.get("conflict_keys") or ()
        if isinstance(key, exp.Ordered) and isinstance(key.this, exp.Column)
    )


def _is_excluded(value: exp.Expr, column: str) -> bool:
    return (
        isinstance(value, exp.Column)
        and value.args.get("table") is not None
        and folded(value.args["table"]) == "excluded"
        and folded(value.this) == column
    )


ScopeOf = Callable[[Located], Scope]
"""The tenants that the rows of a mention of a table can be of."""


def all_sources(inserted: Inserted, scope: ScopeOf) -> tuple[Source, ...]:
    """The keys of the rows without a tenant in context: what is copied brings its table's.

    Raises:
        UnsupportedAcrossShards: The table that the key comes from is not held to certain tenants.
    """
    found = list(inserted.sources)
    for origin in inserted.copied:
        match scope(origin.located):
            case Keys(sources) if sources:
                found += sources
            case Both((Keys(sources), *_)) if sources:
                found += sources
            case _:
                raise UnsupportedAcrossShards(_EXPRESSION)
    return tuple(found)
