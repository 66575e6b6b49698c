"""What moves will cost: tenants, rows, bytes, minutes and pauses, before anybody begins them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from server.tenants.sizes import Extent, Sizes, bytes_text
from shardmap import (
    Relocation,
    ShardMap,
    SlotsMove,
    TenantId,
    TenantMove,
    moving_tenants,
)

COPY_BYTES_PER_S: Final = 10_000_000
"""Assumed until moves have been measured: copied, checked and caught up, with the default throttle
off, on two cores. Half of what `psql COPY | psql COPY` gives there."""
UNIT_S: Final = 1.5
"""Of each unit that moves, whatever its size: publication, slot, subscription, cutover."""
PAUSE_S: Final = 0.12
"""For which a unit's writes wait at its cutover."""
MEASURED_BYTES: Final = 1_000_000
"""Smaller moves say nothing of how fast rows are copied."""


@dataclass(frozen=True, slots=True)
class MovedBefore:
    """A move that has been made: its rows' bytes, and how long copy and pause took."""

    bytes: int
    seconds: float
    pause_s: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast moves go. `measured`: on how many moves that is known; 0: it is assumed."""

    bytes_per_s: float = COPY_BYTES_PER_S
    unit_s: float = UNIT_S
    pause_s: float = PAUSE_S
    measured: int = 0

    @classmethod
    def of(cls, before: Sequence[MovedBefore]) -> "Pace":
        """The median of the moves made before; what they do not tell is assumed."""
        if not before:
            return cls()
        large = [one for one in before if one.bytes >= MEASURED_BYTES and one.seconds > UNIT_S]
        speeds = [one.bytes / (one.seconds - UNIT_S) for one in large]
        return cls(
            bytes_per_s=median(speeds) if speeds else COPY_BYTES_PER_S,
            pause_s=median(one.pause_s for one in before),
            measured=len(before),
        )


@dataclass(frozen=True, slots=True)
class MoveEstimate:
    """One move. `units`: how many cutovers it has."""

    move: Relocation
    tenants: int
    extent: Extent
    seconds: float

    def document(self) -> dict[str, Any]:
        """For programs."""
        what: dict[str, Any] = (
            {"tenant": self.move.tenant}
            if isinstance(self.move, TenantMove)
            else {"slots": len(self.move.slots)}
        )
        return {
            **what,
            "source": self.move.source,
            "target": self.move.target,
            "tenants": self.tenants,
            "rows": self.extent.rows,
            "bytes": self.extent.bytes,
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """All moves of a change, made one after the other."""

    moves: tuple[MoveEstimate, ...]
    pace: Pace
    sampled: bool
    unknown: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long it takes; moves of different shards may run at once, and then it is less."""
        return sum(one.seconds for one in self.moves)

    def document(self) -> dict[str, Any]:
        """For programs."""
        whole = sum((one.extent for one in self.moves), Extent())
        return {
            "moves": [one.document() for one in self.moves],
            "tenants": sum(one.tenants for one in self.moves),
            "rows": whole.rows,
            "bytes": whole.bytes,
            "minutes": round(self.seconds / 60, 1),
            "pause_s": round(self.pace.pause_s, 3),
            "measured_on_moves": self.pace.measured,
            "sampled": self.sampled,
            "not_counted": list(self.unknown),
        }

    def text(self) -> str:
        """For people; empty where nothing moves."""
        if not self.moves:
            return ""
        lines = ["moves:"]
        lines += [f"  {_what(one.move)}: {_cost(one)}" for one in self.moves[:_LISTED]]
        if len(self.moves) > _LISTED:
            lines.append(f"  … and {len(self.moves) - _LISTED} more")
        whole = sum((one.extent for one in self.moves), Extent())
        tenants = sum(one.tenants for one in self.moves)
        lines.append(
            f"in all {tenants:,} tenants, {whole.rows:,} rows, {bytes_text(whole.bytes)}, "
            f"{duration_text(self.seconds)}; writes of a unit wait for about {self.pace.pause_s:.2g} s"
        )
        known = f"as {self.pace.measured} moves before went" if self.pace.measured else "assumed"
        counted = "rows estimated from samples" if self.sampled else "rows counted"
        lines.append(f"({counted}; speed {known}: {bytes_text(round(self.pace.bytes_per_s))}/s)")
        lines += [f"not counted: {what}" for what in self.unknown]
        return "".join(f"{line}\n" for line in lines)


_LISTED: Final = 20


def estimated(
    moves: Sequence[Relocation], shard_map: ShardMap, sizes: Sizes, pace: Pace
) -> Estimate:
    """What these moves take along, from the map on which they begin. O(tenants + slots)."""
    moving = moving_tenants(moves, sizes.tenants, shard_map)
    taken: dict[int, list[TenantId]] = {}
    for tenant, move in moving.items():
        taken.setdefault(id(move), []).append(tenant)
    found = []
    for move in moves:
        tenants = taken.get(id(move), [])
        extent = sum((sizes.of(tenant) for tenant in tenants), Extent())
        found.append(
            MoveEstimate(
                move,
                max(len(tenants), 1 if isinstance(move, TenantMove) else 0),
                extent,
                pace.unit_s + extent.bytes / pace.bytes_per_s,
            )
        )
    return Estimate(tuple(found), pace, sizes.sampled, sizes.unknown)


def duration_text(seconds: float) -> str:
    """`about 3 minutes`."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"


def _what(move: Relocation) -> str:
    match move:
        case TenantMove(tenant, source, target):
            return f"tenant {tenant} from {source} to {target}"
        case SlotsMove(slots, source, target):
            return f"{len(slots)} slots from {source} to {target}"


def _cost(one: MoveEstimate) -> str:
    tenants = "" if isinstance(one.move, TenantMove) else f"{one.tenants:,} tenants, "
    return (
        f"{tenants}{one.extent.rows:,} rows, {bytes_text(one.extent.bytes)}, "
        f"{duration_text(one.seconds)}"
    )
