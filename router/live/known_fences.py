"""The fences of a shard as its servers say them: read along with a probe, in full when they changed."""

import json
from collections.abc import Iterable
from types import MappingProxyType
from typing import Final, Protocol

from router.context import QueryContext
from router.fences import Entries, Fence, ShardFences, left
from router.live.replicas import Standing
from router.move_errors import UnitMoved
from shardmap import ShardId

FENCES: Final = """\
SELECT v.version, CASE WHEN v.version <> $1::int8 THEN (
    SELECT coalesce(json_agg(json_build_array(f.unit, f.epoch, f.state, f.moved_to,
        f.state IN ('gone', 'arriving') AND coalesce(cardinality(f.tenants), 0) > 0)), '[]')
    FROM fluxshard.fence AS f)::text END AS rows
FROM fluxshard.fence_version AS v"""
"""The version, and the fences if it is another than `$1`: in one snapshot. Whose tenants they are is
not told: there may be so many that a probe would not be answered in time."""


class _Monitor(Protocol):
    fences: ShardFences | None


class _Member(Protocol):
    @property
    def standing(self) -> Standing: ...

    @property
    def monitor(self) -> _Monitor: ...


def read_fences(version: int, rows: str) -> ShardFences:
    """The fences of a reply that has them."""
    fences = (
        Fence(
            unit,
            epoch,
            state,
            None if moved_to is None else ShardId(moved_to),
            peopled,
        )
        for unit, epoch, state, moved_to, peopled in json.loads(rows)
    )
    return ShardFences(version, MappingProxyType({fence.unit: fence for fence in fences}))


def newest_fences(members: Iterable[_Member], before: ShardFences) -> ShardFences:
    """What the shard's fences are, by what its servers said.

    The newest timeline's highest version: replicas say what they have replayed, and a promotion
    may have left changes behind. Servers that are down say nothing; without any, what was known stays.
    """
    said = [
        (member.standing.timeline, member.monitor.fences)
        for member in members
        if member.standing.alive and member.monitor.fences is not None
    ]
    if not said:
        return before
    newest = max(timeline for timeline, _ in said)
    found = max(
        (fences for timeline, fences in said if timeline == newest),
        key=lambda fences: fences.version,
    )
    return before if found == before else found


def check_home(
    shard: ShardId, fences: ShardFences, entries: Entries, context: QueryContext
) -> None:
    """Let a read be asked on a shard only if what it wants is at home there, as far as is known.

    Raises:
        UnitMoved: A fence says that its home is elsewhere.
    """
    if not fences.away:
        return
    fence = left(fences, entries, context.tenant)
    if fence is not None:
        message = f"unit {fence.unit} is not at home on {shard}"
        raise UnitMoved(shard, message, fence, probed=True)
