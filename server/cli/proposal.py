"""A change of the shard map as it would be applied, and what stands in its way."""

from dataclasses import asdict, dataclass
from typing import Any

from server.cli.maptext import summary_text
from shardmap import (
    CATALOG,
    MapConflict,
    Problem,
    ShardId,
    ShardMap,
    changes_between,
    changes_document,
    changes_text,
    refusals,
    succeed,
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change as it would be applied: `old` is None for the first map."""

    old: ShardMap | None
    new: ShardMap
    refused: tuple[Problem, ...]

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
    conflict = (
        (Problem("epoch", str(MapConflict(asked.epoch, found))),)
        if asked.epoch not in {0, found} and not (old is None and asked.epoch == 1)
        else ()
    )
    return Proposal(old, new, conflict + (refusals(old, new) if old is not None else ()))
