"""PostgreSQL's catalogs as a `Schema`: the rows of the two `.sql` files, read into values."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from router.analysis.functions import BUILT_IN, Function, Functions
from router.routines import Parameter, Routine
from router.schema import Column, ForeignKey, Kind, Schema, Table
from shardmap import Global, ShardMap, TableName

INTROSPECTION: Final = files("router.catalogue").joinpath("introspection.sql").read_text()
"""Takes the names of the schemas as `$1`, and gives one row for each table or view."""

FUNCTIONS: Final = files("router.catalogue").joinpath("functions.sql").read_text()
"""Takes `functions.SAFE_MARK` as `$1`, and gives one row for each schema and name of a function."""

ROUTINES: Final = files("router.catalogue").joinpath("routines.sql").read_text()
"""Takes the names of the schemas as `$1`, and gives one row for each function that can be called."""

AWARENESS: Final = files("router.catalogue").joinpath("awareness.sql").read_text()
"""Gives one value: whether code of users may ask for settings of a request, or of its response."""

NO_DIFFERENCES: Final[Mapping[TableName, str]] = MappingProxyType({})


def read_tables(rows: Iterable[Mapping[str, Any]]) -> tuple[Table, ...]:
    """The tables of one database, in order of name."""
    return tuple(_table(row) for row in rows)


def read_functions(rows: Iterable[Mapping[str, Any]]) -> tuple[Function, ...]:
    """The functions of one database, in order of schema and name."""
    return tuple(
        Function(
            row["schema"],
            row["name"],
            volatile=row["volatile"],
            immutable=row["immutable"],
            known=row["known"],
            of_row=row["of_row"],
        )
        for row in rows
    )


def read_routines(rows: Iterable[Mapping[str, Any]]) -> tuple[Routine, ...]:
    """The functions of one database that clients may call, in order of schema and name."""
    return tuple(
        Routine(
            schema=row["schema"],
            name=row["name"],
            arguments=_parameters(row["arguments"]),
            defaults=row["defaults"],
            variadic=row["variadic"],
            volatile=row["volatile"],
            void=row["void"],
            set_of=row["set_of"],
            type=row["type"],
            columns=_parameters(row["columns"]),
            category=row["category"],
            one_row=row["one_row"],
            table=(
                TableName(f"{row['of_schema']}.{row['of_relation']}")
                if row["of_relation"] is not None
                else None
            ),
        )
        for row in rows
    )


def _parameters(text: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(**each) for each in json.loads(text))


def common(databases: Sequence[Sequence[Routine]]) -> tuple[Routine, ...]:
    """The functions that all of the databases have, exactly so."""
    first, *others = databases
    kept = [set(each) for each in others]
    return tuple(routine for routine in first if all(routine in each for each in kept))


def worst(functions: Iterable[Function]) -> Functions:
    """By schema and name; of one that several databases have, the worst that any of them has."""
    found: dict[tuple[str, str], Function] = {}
    for function in functions:
        key = (function.schema, function.name)
        other = found.get(key, function)
        found[key] = Function(
            *key,
            volatile=function.volatile or other.volatile,
            immutable=function.immutable and other.immutable,
            known=function.known and other.known,
            of_row=function.of_row or other.of_row,
        )
    return found


def merged(  # noqa: PLR0913 - what a schema is made of
    shard: Sequence[Table],
    catalog: Sequence[Table] | None,
    shard_map: ShardMap,
    exposed: tuple[str, ...],
    functions: Functions = BUILT_IN,
    *,
    differing: Mapping[TableName, str] = NO_DIFFERENCES,
    routines: Iterable[Routine] = (),
    aware: bool = False,
) -> Schema:
    """One schema of the shards' tables and the catalog's: global tables are the catalog's.

    `catalog` is the same as `shard` where it is the same database; None: it could not be read yet.
    """

    def is_global(name: TableName) -> bool:
        return isinstance(shard_map.placement(name), Global)

    found = {table.name: table for table in shard if not is_global(table.name)}
    found |= {table.name: table for table in catalog or () if is_global(table.name)}
    routines = tuple(routines)
    ordered = dict(sorted(computing(found, routines, exposed).items()))
    unread = frozenset(filter(is_global, shard_map.tables)) if catalog is None else frozenset()
    other = {name: how for name, how in sorted(differing.items()) if not is_global(name)}
    called: dict[tuple[str, str], tuple[Routine, ...]] = {}
    for routine in routines:
        key = (routine.schema, routine.name)
        called[key] = (*called.get(key, ()), routine)
    content = (exposed, tuple(ordered.values()), sorted(unread), sorted(functions.items()), other)
    version = _version((*content, called, aware))
    return Schema(version, ordered, exposed, unread, functions, other, called, aware)


def computing(
    tables: Mapping[TableName, Table], routines: Iterable[Routine], exposed: Sequence[str]
) -> dict[TableName, Table]:
    """The tables with the functions of one of their rows, which clients may take for columns.

    Of two with one name that of the schema which is exposed first counts.
    """
    by_type = {row_type(table): table.name for table in tables.values()}
    found: dict[TableName, dict[str, Routine]] = {}
    for routine in sorted(routines, key=lambda each: exposed.index(each.schema)):
        name = by_type.get(routine.of_row or "")
        if name is not None and not routine.void:
            found.setdefault(name, {}).setdefault(routine.name, routine)
    return {
        name: replace(table, computed=found[name]) if name in found else table
        for name, table in tables.items()
    }


def row_type(table: Table) -> str:
    """The type of the table's rows, as it is spelled for arguments of functions."""
    schema, relation = (name.replace('"', '""') for name in (table.schema, table.relation))
    return f'"{schema}"."{relation}"'


def _table(row: Mapping[str, Any]) -> Table:
    columns = (
        Column(
            name=column["name"],
            type=column["type"],
            not_null=column["not_null"],
            has_default=column["has_default"],
            generated=column["generated"],
            array=column["array"],
            category=column["category"],
            mergeable=column["mergeable"],
            identity=column["identity"],
            domain=column["domain"],
        )
        for column in json.loads(row["columns"])
    )
    return Table(
        name=TableName(f"{row['schema']}.{row['relation']}"),
        schema=row["schema"],
        relation=row["relation"],
        kind=Kind(row["kind"]),
        columns={column.name: column for column in columns},
        primary_key=tuple(row["primary_key"]),
        uniques=tuple(tuple(names) for names in json.loads(row["uniques"])),
        rls=row["rls"],
        triggered=row["triggered"],
        computed_defaults=row["computed_defaults"],
        constraints={
            name: tuple(columns) for name, columns in json.loads(row["constraints"]).items()
        },
        partitions=tuple(map(TableName, row["partitions"])),
        definition=row["definition"],
        foreign_keys=tuple(
            ForeignKey(
                key["name"],
                tuple(key["columns"]),
                TableName(f"{key['schema']}.{key['relation']}"),
                tuple(key["target_columns"]),
            )
            for key in json.loads(row["foreign_keys"])
        ),
    )


def _version(content: object) -> str:
    """A hash of the content: the same in every process that sees the same tables."""
    return hashlib.blake2b(repr(content).encode(), digest_size=8).hexdigest()
