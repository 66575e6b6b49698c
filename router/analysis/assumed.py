"""A schema for when there is none: whatever column a statement names is taken to be there."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from router.schema import Column, Kind, Schema, Table
from shardmap import TableName

VERSION: Final = "assumed"


class AssumedColumns(Mapping[str, Column]):
    """Has every column by name, and knows none to list.

    Each is taken to be of a built-in type whose values can be ordered outside PostgreSQL.
    """

    def __getitem__(self, name: str) -> Column:
        return Column(
            name=name,
            type="numeric",
            not_null=False,
            has_default=False,
            generated=False,
            array=False,
            category="N",
            mergeable=True,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "AssumedColumns()"


def assumed_schema(names: Iterable[TableName]) -> Schema:
    """The tables of these names, of which nothing else is known; their key is taken to be `id`."""
    return Schema(version=VERSION, tables={name: _table(name) for name in names})


def _table(name: TableName) -> Table:
    schema, _, relation = name.partition(".")
    return Table(
        name=name,
        schema=schema,
        relation=relation,
        kind=Kind.TABLE,
        columns=AssumedColumns(),
        primary_key=("id",),
        uniques=(),
        rls=False,
        triggered=False,
        computed_defaults=False,
    )
