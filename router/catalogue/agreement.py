"""What all shards have in common: the tables and columns that a statement may count on anywhere.

Shards differ while a migration goes from one to the next. What only some of them have is not there
yet, or not any more: code of before does not know it, and code of after does not need it. What they
have in two ways that cannot both be right (a column of two types) is refused by name, until they
agree. Positions of columns are not promised: nothing here depends on them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from router.backends import ShardReply
from router.errors import SchemasDiffer
from router.schema import Column, Table
from shardmap import ShardId, TableName


@dataclass(frozen=True, slots=True)
class Agreement:
    """The tables that all shards have. `differing`: those that they do not agree on, and how."""

    tables: tuple[Table, ...]
    differing: Mapping[TableName, str]


def agreed(
    shards: Mapping[ShardId, Sequence[Table]], placed: Callable[[TableName], bool]
) -> Agreement:
    """What these shards agree on. `placed`: whether a table has to be on every shard.

    A table that has no place in the map is looked at where the first shard has it.
    """
    by_shard = {shard: {table.name: table for table in tables} for shard, tables in shards.items()}
    found: list[Table] = []
    differing: dict[TableName, str] = {}
    for name in sorted({name for tables in by_shard.values() for name in tables}):
        having = {shard: tables[name] for shard, tables in by_shard.items() if name in tables}
        if not placed(name):
            found.append(next(iter(having.values())))
            continue
        missing = [shard for shard in by_shard if shard not in having]
        reason = (
            f"it is on {_names(having)} and not on {_names(missing)}"
            if missing
            else _contradiction(having)
        )
        if reason is not None:
            differing[name] = reason
        else:
            found.append(_common(tuple(having.values())))
    return Agreement(tuple(found), differing)


def agreed_columns(replies: Sequence[ShardReply]) -> tuple[str, ...]:
    """The names of the columns of a gather's rows, which are the same in every reply.

    Raises:
        SchemasDiffer: They are not: a `*` met tables that a migration has changed on one shard.
    """
    first = replies[0]
    for reply in replies[1:]:
        if reply.columns != first.columns:
            raise SchemasDiffer(
                reply.served.shard,
                f"rows of {first.served.shard} and {reply.served.shard} have different columns",
            )
    return first.columns


def _contradiction(having: Mapping[ShardId, Table]) -> str | None:
    kinds: dict[str, list[ShardId]] = {}
    for shard, table in having.items():
        kinds.setdefault(table.kind.name.lower().replace("_", " "), []).append(shard)
    if len(kinds) > 1:
        return " and ".join(f"it is a {kind} on {_names(on)}" for kind, on in kinds.items())
    first = next(iter(having.values()))
    for column in first.columns:
        types: dict[str, list[ShardId]] = {}
        for shard, table in having.items():
            if column in table.columns:
                types.setdefault(table.columns[column].type, []).append(shard)
        if len(types) > 1:
            shown = " and ".join(f"{kind} on {_names(on)}" for kind, on in types.items())
            return f"column {column} is {shown}"
    return None


def _common(tables: tuple[Table, ...]) -> Table:
    first, *others = tables
    if all(other == first for other in others):
        return first
    keys = {table.primary_key for table in tables}
    return replace(
        first,
        columns={
            name: _column([table.columns[name] for table in tables])
            for name in first.columns
            if all(name in table.columns for table in others)
        },
        primary_key=first.primary_key if len(keys) == 1 else (),
        uniques=tuple(
            key for key in first.uniques if all(key in table.uniques for table in others)
        ),
        rls=any(table.rls for table in tables),
        triggered=any(table.triggered for table in tables),
        computed_defaults=any(table.computed_defaults for table in tables),
        foreign_keys=tuple(
            key for key in first.foreign_keys if all(key in table.foreign_keys for table in others)
        ),
    )


def _column(columns: Sequence[Column]) -> Column:
    """The column as the most careful of them has it."""
    first, *others = columns
    if all(other == first for other in others):
        return first
    return replace(
        first,
        not_null=all(column.not_null for column in columns),
        has_default=all(column.has_default for column in columns),
        generated=any(column.generated for column in columns),
        mergeable=all(column.mergeable for column in columns),
    )


def _names(shards: Iterable[ShardId]) -> str:
    return ", ".join(shards)
