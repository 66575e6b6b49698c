"""Sequences of several shards that number the same column alike, and how to tell them apart.

Rows with the same number collide when a tenant moves from one shard to the other, even if the key
contains the tenant column.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

from shardmap.findings import Finding, Rule
from shardmap.ids import CATALOG, ShardId
from shardmap.inspection import NEXT_ID, Facts, SequenceFact
from shardmap.map import ShardMap
from shardmap.markup import dotted
from shardmap.placement import Sharded, TableName

_LEAST_STEP: Final = 16
"""Room for shards to come, so that their joining changes nobody's sequences."""


def sequence_findings(shard_map: ShardMap, facts: Mapping[ShardId, Facts]) -> tuple[Finding, ...]:
    """Key columns of sharded tables whose sequences may give the same number on two shards."""
    found: dict[tuple[TableName, str], dict[ShardId, SequenceFact]] = {}
    for shard, one in facts.items():
        keys = {(key.table, column) for key in one.keys for column in key.columns}
        for sequence in one.sequences:
            place = (sequence.table, sequence.column)
            if shard != CATALOG and place in keys and _is_sharded(shard_map, sequence.table):
                found.setdefault(place, {})[shard] = sequence
    return tuple(
        finding
        for (table, column), sequences in sorted(found.items())
        for finding in _overlap(shard_map, table, column, sequences)
    )


def _is_sharded(shard_map: ShardMap, table: TableName) -> bool:
    return isinstance(shard_map.tables.get(table), Sharded)


def _overlap(
    shard_map: ShardMap, table: TableName, column: str, sequences: Mapping[ShardId, SequenceFact]
) -> Iterator[Finding]:
    alike = {
        shard
        for pair in combinations(sequences, 2)
        if _meet(sequences[pair[0]], sequences[pair[1]])
        for shard in pair
    }
    if not alike:
        return
    names = ", ".join(sorted(alike))
    yield Finding(
        Rule.SEQUENCES_OVERLAP,
        dotted("tables", table),
        f"{column} is numbered alike on {names}: rows collide when a tenant moves",
        "\n".join(_remedies(shard_map, table, sequences)),
    )


def _meet(one: SequenceFact, other: SequenceFact) -> bool:
    """Whether a number that `one` gives from now on may be given by `other` too."""
    if max(one.least, other.least) > min(one.most, other.most):
        return False
    return (_phase(one) - _phase(other)) % math.gcd(one.increment, other.increment) == 0


def _phase(sequence: SequenceFact) -> int:
    return sequence.start if sequence.last is None else sequence.last


def _remedies(
    shard_map: ShardMap, table: TableName, sequences: Mapping[ShardId, SequenceFact]
) -> Iterator[str]:
    """The default to use instead, or each shard's sequence in steps of its own, ready to paste."""
    any_of_them = next(iter(sequences.values()))
    steps = ["drop identity"] if any_of_them.identity else []
    steps += ["type bigint"] if any_of_them.type != "bigint" else []
    steps.append(f"set default {NEXT_ID}")
    actions = ", ".join(f"alter {any_of_them.column} {step}" for step in steps)
    yield f"on every shard: alter table {table} {actions};"
    numbers = shard_map.numbers
    step = max(_LEAST_STEP, 1 << max(numbers.values()).bit_length())
    highest = max((one.last or 0 for one in sequences.values()), default=0)
    base = -(-highest // step) * step
    for shard, sequence in sorted(sequences.items()):
        yield (
            f"or on {shard}: alter sequence {sequence.name} increment by {step} "
            f"start with {base + numbers[shard]} restart;"
        )
