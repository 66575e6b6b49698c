"""A change of the shard map as it would be applied, and what stands in its way."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from shardmap import (
    CATALOG,
    MapConflict,
    Problem,
    Relocation,
    ShardId,
    ShardMap,
    Staged,
    changes_between,
    changes_document,
    changes_text,
    refusals,
    staged,
    succeed,
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change as it would be applied: `old` is None for the first map."""

    old: ShardMap | None
    new: ShardMap
    refused: tuple[Problem, ...]
    stages: Staged | None = None
    """How homes change, step by step; None for the first map."""

    @property
    def next(self) -> ShardMap:
        """The map to be applied now: `new`, or as much of it as moves nothing."""
        if self.old is None or self.stages is None:
            return self.new
        return succeed(self.old, self.stages.first)

    @property
    def moves(self) -> tuple[Relocation, ...]:
        """What is to be moved then."""
        return self.stages.moves if self.stages is not None else ()

    @property
    def changed(self) -> bool:
        """Whether applying it would change anything."""
        return self.old is None or bool(changes_between(self.old, self.new))

    def stays(self, shard: ShardId) -> bool:
        """Whether a server that does not answer now may go unchecked.

        Those that the map in force has may, since each connection proves them again. Not so a
        catalog elsewhere: running servers would wait there for maps that never come.
        """
        if self.old is None:
            return False
        if shard == CATALOG:
            return self.new.catalog.address == self.old.catalog.address
        return shard in self.old.shards

    def text(self) -> str:
        """What would change, and what stands in the way."""
        if self.old is None:
            shown = f"the first map: {summary_text(self.new)}\n"
        else:
            shown = changes_text(changes_between(self.old, self.new))
        return shown + "".join(f"refused: {problem}\n" for problem in self.refused)

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "from_epoch": self.old.epoch if self.old is not None else 0,
            "to_epoch": self.new.epoch,
            "changes": changes_document(changes_between(self.old, self.new)) if self.old else None,
            "refused": [asdict(problem) for problem in self.refused],
        }


def propose_change(old: ShardMap | None, asked: ShardMap) -> Proposal:
    """What applying `asked` would do. A document's own epoch says which map it was made from."""
    new = succeed(old, asked)
    found = old.epoch if old is not None else 0
    refused: tuple[Problem, ...] = ()
    if asked.epoch not in {0, found} and not (old is None and asked.epoch == 1):
        refused = (Problem("epoch", str(MapConflict(asked.epoch, found))),)
    if old is None:
        return Proposal(old, new, refused)
    stages = staged(old, asked)
    refused += (*_shards_refused(old, stages), *refusals(old, succeed(old, stages.first)))
    return Proposal(old, new, refused, stages)


def _shards_refused(old: ShardMap, stages: Staged) -> Iterator[Problem]:
    """A shard leaves when it is empty, and is moved to when it has joined."""
    for shard in old.homes:
        if shard not in stages.asked.shards:
            slots = old.slots.count(shard)
            pins = sum(pin.shard == shard for pin in old.pins.values())
            message = f"owns {slots} slots and {pins} pins: `fluxshard drain {shard}` first"
            yield Problem(f"shards.{shard}", message)
    for shard in sorted({move.target for move in stages.moves} - old.shards.keys()):
        message = "joins without slots and pins: `fluxshard shard add` prepares it first"
        yield Problem(f"shards.{shard}", message)


def summary_text(shard_map: ShardMap) -> str:
    """One line: what kind of map this is."""
    replicas = sum(len(shard.replicas) for shard in shard_map.shards.values())
    shares = ", ".join(f"{shard} {shard_map.slots.count(shard)}" for shard in shard_map.shards)
    epoch = f"epoch {shard_map.epoch}" if shard_map.epoch else "no epoch yet"
    return (
        f"{epoch} of cluster {shard_map.cluster_id}, {shard_map.key_type} keys, "
        f"{_count(len(shard_map.shards), 'shard')} with {_count(replicas, 'replica')}, "
        f"{_count(len(shard_map.tables), 'table')}, {_count(len(shard_map.pins), 'pin')}; "
        f"slots: {shares}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
