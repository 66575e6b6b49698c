"""What two sides say of the same rows, compared: SQL texts, and which rows differ. Decides only.

Rows are put into buckets by a digest of their key; count and sum of row digests of each bucket say
which buckets to look into row by row. MD5 is no secret's guard here: it is the same on every release
of PostgreSQL, which its own hash functions need not be.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from server.moves.group import Table, quoted

BUCKETS: Final = 1024


class Row(Protocol):
    """A row of an answer."""

    def __getitem__(self, column: str, /) -> Any:
        """The value of a column."""
        ...


Rows = Mapping[str, Counter[str]]
"""Digests of rows by the text of their key; several rows have one key only where none is unique."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not the same on both sides, or on one only."""

    table: str
    key: str
    here: int
    """Rows with this key at home."""
    there: int
    """Rows with it on the other side."""

    def __str__(self) -> str:
        if self.here and not self.there:
            return f"{self.table} {self.key}: is missing on the copy"
        if self.there and not self.here:
            return f"{self.table} {self.key}: is on the copy only"
        return f"{self.table} {self.key}: differs"

    def document(self) -> dict[str, Any]:
        """It as JSON."""
        return {"table": self.table, "key": self.key, "here": self.here, "there": self.there}


def buckets_sql(table: Table, mine: str) -> str:
    """Number of rows and sum of their digests for each bucket."""
    return (
        f"SELECT {_bucket(table)} AS bucket, count(*) AS rows,"  # noqa: S608 - quoted names
        f" sum(('x' || substr(md5({_whole(table)}), 1, 15))::bit(60)::bigint)::text AS digest"
        f" FROM {table.relation} AS t WHERE {mine} GROUP BY 1"
    )


def rows_sql(table: Table, mine: str) -> str:
    """Key and digest of every row in the buckets `$1`."""
    return (
        f"SELECT {key_sql(table)} AS key, md5({_whole(table)}) AS digest"  # noqa: S608
        f" FROM {table.relation} AS t WHERE {mine} AND {_bucket(table)} = ANY ($1::int[])"
    )


def keyed_sql(table: Table, mine: str) -> str:
    """Key and digest of the rows with the keys `$1`."""
    return (
        f"SELECT {key_sql(table)} AS key, md5({_whole(table)}) AS digest"  # noqa: S608
        f" FROM {table.relation} AS t WHERE {mine} AND {key_sql(table)} = ANY ($1::text[])"
    )


def differing_buckets(here: Iterable[Row], there: Iterable[Row]) -> list[int]:
    """The buckets that are not the same on both sides."""
    one = {row["bucket"]: (row["rows"], row["digest"]) for row in here}
    other = {row["bucket"]: (row["rows"], row["digest"]) for row in there}
    return sorted(bucket for bucket in one.keys() | other if one.get(bucket) != other.get(bucket))


def by_key(rows: Iterable[Row]) -> Rows:
    """Rows of an answer, by key."""
    found: dict[str, Counter[str]] = {}
    for row in rows:
        found.setdefault(row["key"], Counter())[row["digest"]] += 1
    return found


def differing_keys(here: Rows, there: Rows) -> set[str]:
    """The keys of rows that are not the same."""
    return {key for key in here.keys() | there if here.get(key) != there.get(key)}


def settled(
    before: Rows, there: Rows, after: Rows, keys: Iterable[str]
) -> tuple[set[str], set[str]]:
    """Of keys that differed: those that really do, and those of which nothing is known yet.

    `before` and `after` are looks at home around the one at the copy, which by then had all that was
    committed before `before`. A row that did not change at home in between has to be there.
    """
    different: set[str] = set()
    unknown: set[str] = set()
    for key in keys:
        if before.get(key) == there.get(key):
            continue
        (different if before.get(key) == after.get(key) else unknown).add(key)
    return different, unknown


def key_sql(table: Table) -> str:
    """The text of a row's key, of the table as `t`."""
    return f"ROW({', '.join(f't.{quoted(name)}' for name in table.identity)})::text"


def _whole(table: Table) -> str:
    return f"ROW({', '.join(f't.{quoted(name)}' for name, _, _ in table.columns)})::text"


def _bucket(table: Table) -> str:
    return f"(('x' || substr(md5({key_sql(table)}), 1, 3))::bit(12)::int % {BUCKETS})"
