"""What a document shows: the tables and functions of one schema that a role may use."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from router import Column, Documentation, Routine, RoutineNotes, Schema, Table
from shardmap import TableName

TenantColumn = Callable[[TableName], str | None]
"""The tenant column of a sharded table; None for other tables."""


class Mode(StrEnum):
    """Whose rights decide what is shown."""

    FOLLOW_PRIVILEGES = "follow-privileges"
    """The caller's role."""
    IGNORE_PRIVILEGES = "ignore-privileges"
    """Nobody's: everything that is exposed is shown."""
    DISABLED = "disabled"
    """There are no documents of tables."""


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """One column, as people read about it. `type` is PostgreSQL's name for people."""

    name: str
    type: str
    comment: str | None = None
    default: str | None = None
    max_length: int | None = None
    labels: tuple[str, ...] = ()
    not_null: bool = False
    optional: bool = True
    """An insert may leave it out."""
    generated: bool = False
    """Never written by clients."""
    in_key: bool = False
    """Part of the primary key."""
    refers_to: tuple[str, str] | None = None
    """The table and the column that a foreign key of this column leads to."""


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table or view, and what can be done with it."""

    schema: str
    relation: str
    comment: str | None
    columns: tuple[ShownColumn, ...]
    key: tuple[str, ...]
    tenant_column: str | None
    writable: bool
    """Rows can be inserted, updated and deleted, as far as the role's rights go."""

    @property
    def id_column(self) -> ShownColumn | None:
        """The one column that names a row among those of a tenant."""
        names = [name for name in self.key if name != self.tenant_column]
        if len(names) != 1:
            return None
        return next(column for column in self.columns if column.name == names[0])


@dataclass(frozen=True, slots=True)
class ShownArgument:
    """An argument of a function. Without a name it takes the whole body."""

    name: str
    type: str
    required: bool
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class ShownRoutine:
    """A function. Of several with one name, the one that was made first."""

    schema: str
    name: str
    comment: str | None
    arguments: tuple[ShownArgument, ...]
    routine: Routine


@dataclass(frozen=True, slots=True)
class Shown:
    """One schema."""

    schema: str
    comment: str | None
    tables: tuple[ShownTable, ...]
    routines: tuple[ShownRoutine, ...]
    differing: tuple[tuple[str, str], ...] = ()
    """Tables that the shards do not agree on, and in what."""


def shown(
    schema: Schema,
    notes: Documentation,
    namespace: str,
    mode: Mode,
    tenant_column: TenantColumn,
) -> Shown:
    """The schema of that name, as far as the mode lets it be seen. In order of name."""
    everything = mode is Mode.IGNORE_PRIVILEGES
    tables = tuple(_tables(schema, notes, namespace, tenant_column, everything=everything))
    names = {f"{table.schema}.{table.relation}" for table in tables}
    return Shown(
        namespace,
        notes.schemas.get(namespace),
        tables,
        tuple(_routines(schema, notes, namespace, everything=everything)),
        tuple((name, how) for name, how in schema.differing.items() if name in names),
    )


def _tables(
    schema: Schema,
    notes: Documentation,
    namespace: str,
    tenant_column: TenantColumn,
    *,
    everything: bool,
) -> Iterator[ShownTable]:
    for table in schema.tables.values():
        found = notes.relations.get((table.schema, table.relation))
        if table.schema != namespace or found is None or not (everything or found.usable):
            continue
        targets = _targets(schema, table, tenant_column)
        yield ShownTable(
            table.schema,
            table.relation,
            found.comment,
            tuple(
                ShownColumn(
                    name,
                    told.type,
                    told.comment,
                    told.default,
                    told.max_length,
                    told.labels,
                    not_null=column.not_null,
                    optional=_optional(column, tenant_column(table.name)),
                    generated=column.generated,
                    in_key=name in table.primary_key,
                    refers_to=targets.get(name),
                )
                for name, column in table.columns.items()
                if (told := found.columns.get(name)) is not None
            ),
            table.primary_key,
            tenant_column(table.name),
            table.writable,
        )


def _optional(column: Column, tenant: str | None) -> bool:
    """The tenant's own column is filled in for whoever has a tenant."""
    return not column.not_null or column.has_default or column.generated or column.name == tenant


def _targets(
    schema: Schema, table: Table, tenant_column: TenantColumn
) -> dict[str, tuple[str, str]]:
    """Where foreign keys of one column lead; the tenant's column is no part of what is counted."""
    found: dict[str, tuple[str, str]] = {}
    tenant = tenant_column(table.name)
    for key in table.foreign_keys:
        target = schema.tables.get(key.target)
        pairs = [
            pair
            for pair in zip(key.columns, key.target_columns, strict=True)
            if tenant is None or len(key.columns) == 1 or pair[0] != tenant
        ]
        if target is not None and len(pairs) == 1:
            column, referred = pairs[0]
            found.setdefault(column, (target.relation, referred))
    return found


def _routines(
    schema: Schema, notes: Documentation, namespace: str, *, everything: bool
) -> Iterator[ShownRoutine]:
    for (owner, name), routines in sorted(schema.routines.items()):
        if owner != namespace:
            continue
        told = notes.routines.get((owner, name), ())
        for routine in routines:
            found = _notes_of(routine, told)
            if found is not None and (everything or found.executable):
                yield ShownRoutine(owner, name, found.comment, _arguments(routine, found), routine)
                break


def _notes_of(routine: Routine, told: tuple[RoutineNotes, ...]) -> RoutineNotes | None:
    return next(
        (notes for notes in told if len(notes.arguments) == len(routine.arguments)),
        None,
    )


def _arguments(routine: Routine, notes: RoutineNotes) -> tuple[ShownArgument, ...]:
    last = len(routine.arguments) - 1
    needed = len(routine.arguments) - routine.defaults
    found = []
    for place, (argument, kind) in enumerate(zip(routine.arguments, notes.arguments, strict=True)):
        variadic = routine.variadic and place == last
        required = place < needed and not variadic
        found.append(ShownArgument(argument.name, kind, required, variadic))
    return tuple(found)
