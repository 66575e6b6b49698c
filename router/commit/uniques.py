"""Globally unique values that a write adds and removes: from the notes of its shards to SQL.

The triggers of guarded tables note each change (shardmap/global_unique.sql): one line per
statement and table, `["name", {"digest": n, …}]`, in which n says how many more rows have the
value; a statement that changes none notes that. A value is kept on the shard that owns its slot, under its digest.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from router.errors import StatementFailed, UniqueNotGuarded
from router.fences import Entries, slot_entries
from router.live.preamble import quote_literal
from shardmap import ShardId, ShardMap, SlotUnit, TenantId, slot_of

NOTING: Final = "SELECT pg_catalog.set_config('fluxshard.keeping', 'on', true)"
"""Before the statement: its changes are noted, and will be read."""
NOTES: Final = (
    "SELECT pg_catalog.current_setting('fluxshard.unique_changes', true),"
    " pg_catalog.set_config('fluxshard.keeping', 'read', true)"
)
"""The notes. From then on no guarded table can be written in the transaction."""
TABLE: Final = "unique_value"
UNIQUE_VIOLATION: Final = "23505"


class Value(NamedTuple):
    """One value, by the name of its columns and its digest in hexadecimal."""

    name: str
    digest: str

    @property
    def slot(self) -> int:
        """The slot whose shard keeps it."""
        return slot_of(TenantId(f"{self.name}={self.digest}"))


class Step(NamedTuple):
    """One statement about values of one name."""

    name: str
    sql: str


def changes(notes: Iterable[str | None], names: Iterable[str]) -> dict[Value, int]:
    """How many more rows have each value, in order; values that only change places are left out.

    Raises:
        UniqueNotGuarded: A shard noted nothing of one of these names: its triggers are missing.
        StatementFailed: Two rows of the write have the same new value.
    """
    counts: Counter[Value] = Counter()
    expected = frozenset(names)
    for note in notes:
        lines = [json.loads(line) for line in (note or "").splitlines()]
        for missing in sorted(expected.difference(name for name, _ in lines)):
            raise UniqueNotGuarded(f"{missing} is to be globally unique, and is not guarded yet")
        for name, found in lines:
            for digest, number in found.items():
                counts[Value(name, digest)] += number
    for value, number in counts.items():
        if number > 1:
            raise violation(value.name)
    return {value: counts[value] for value in sorted(counts) if counts[value] != 0}


def by_shard(found: dict[Value, int], shard_map: ShardMap) -> dict[ShardId, list[Step]]:
    """What each shard has to do, in order of shards: give values back first, then take others."""
    owned: dict[ShardId, dict[Value, int]] = {}
    for value, number in found.items():
        owned.setdefault(shard_map.slots[value.slot], {})[value] = number
    return {shard: list(_steps(owned[shard])) for shard in sorted(owned)}


def entries_of_shard(found: dict[Value, int], shard_map: ShardMap, shard: ShardId) -> Entries:
    """What a shard's part of them enters: the slots of its values."""
    slots = {value.slot for value in found if shard_map.slots[value.slot] == shard}
    return tuple(
        entry
        for slot in sorted(slots)
        for entry in slot_entries(slot, shard_map.unit_epoch(SlotUnit(slot)))
    )


def _steps(found: dict[Value, int]) -> Iterator[Step]:
    for taking in (False, True):
        names = dict.fromkeys(value.name for value, n in found.items() if (n > 0) == taking)
        for name in names:
            values = [
                value for value, n in found.items() if value.name == name and (n > 0) == taking
            ]
            yield Step(name, (_taken if taking else _given_back)(name, values))


def _given_back(name: str, values: list[Value]) -> str:
    digests = ", ".join(_bytes(value) for value in values)
    return (
        f"DELETE FROM fluxshard.unique_value WHERE name = {quote_literal(name)}"  # noqa: S608 - literals of our own
        f" AND digest IN ({digests})"
    )


def _taken(name: str, values: list[Value]) -> str:
    rows = ", ".join(f"({quote_literal(name)}, {_bytes(value)}, {value.slot})" for value in values)
    return f"INSERT INTO fluxshard.unique_value (name, digest, slot) VALUES {rows}"  # noqa: S608


def _bytes(value: Value) -> str:
    return f"'\\x{bytes.fromhex(value.digest).hex()}'::pg_catalog.bytea"


def violation(name: str) -> StatementFailed:
    """The error of PostgreSQL for a value that is there already; it tells of no other row."""
    table, _, columns = name.removesuffix(")").rpartition("(")
    relation = table.rpartition(".")[2]
    constraint = f"{relation}_{'_'.join(columns.split(', '))}_global_unique"
    return StatementFailed(
        UNIQUE_VIOLATION,
        f'duplicate key value violates unique constraint "{constraint}"',
        detail=f"Key ({columns}) already exists.",
        table=relation,
        constraint=constraint,
    )


def says_taken(failure: Exception) -> bool:
    """Whether a value could not be taken, because another row has it."""
    return (
        isinstance(failure, StatementFailed)
        and failure.sqlstate == UNIQUE_VIOLATION
        and failure.table == TABLE
    )
