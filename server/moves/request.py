"""What is asked of a move, and what a move is: values that the journal keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from shardmap import PinUnit, ShardId, SlotUnit, TenantId, Unit, read_unit, slot_of

SLOTS_AT_ONCE: Final = 64
"""Slots that one move carries: one pair of streams, and one pause for all of their tenants."""


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """Tenants, each on its own, or whole slots, that are to be at home on `target`.

    `source` is where they are expected to be; None takes it from the map.
    """

    target: ShardId
    tenants: tuple[TenantId, ...] = ()
    slots: tuple[int, ...] = ()
    source: ShardId | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much moves may take of the cluster, and of its writers' patience."""

    at_once: int = 4
    per_shard: int = 2
    """Moves that a shard takes part in at the same time."""
    max_pause_s: float = 0.5
    """Writers of the unit wait for no longer in one attempt at a cutover."""
    attempts: int = 60
    """Attempts at a cutover, with growing pauses between them, before the operator is told."""
    lease_s: float = 8.0
    """How long a mover that is not heard of keeps others from going on with its move."""
    away_s: float = 120.0
    """How long a move waits for a server that does not answer, before it leaves it to others."""
    stuck_s: float = 120.0
    """How long a stream may stand still before it counts as broken."""
    seen_s: float = 1.5
    """Between the fence that says that rows arrive and the first of them: by then every router has
    seen the fence, since it asks no server that it has not probed for a second."""


class State(StrEnum):
    """Where a move is. Each can be crashed in, and gone on from."""

    PLANNED = "planned"
    COPYING = "copying"
    CATCHING_UP = "catching_up"
    VERIFYING = "verifying"
    VERIFIED = "verified"
    CUTOVER = "cutover"
    MOVED = "moved"
    """The target is home; the reverse stream keeps the source's rows up to date."""
    CLEANING = "cleaning"
    CLEANED = "cleaned"
    ABORTING = "aborting"
    ABORTED = "aborted"
    ROLLING_BACK = "rolling_back"
    RETURNING = "returning"
    """The rollback's cutover: which side is home, the fences say."""
    ROLLED_BACK = "rolled_back"


ENDED: Final = frozenset({State.CLEANED, State.ABORTED, State.ROLLED_BACK})
RESTING: Final = frozenset({State.MOVED}) | ENDED
"""States in which nothing is to be done unless an operator asks, or time has passed."""
PAUSABLE: Final = frozenset(
    {State.PLANNED, State.COPYING, State.CATCHING_UP, State.VERIFYING, State.VERIFIED}
)
ABORTABLE: Final = PAUSABLE | {State.CUTOVER}
"""In the last one only if no attempt has succeeded: the fences say."""

URGENT: Final = frozenset({State.CUTOVER, State.RETURNING, State.ABORTING})
"""States in which writers may find no open home, or an operator waits: nothing goes before them."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A move under way whose mover is gone."""

    move: int
    urgent: bool


@dataclass(frozen=True, slots=True)
class Move:
    """One row of the journal."""

    id: int
    token: str
    """Random, a part of the names of everything that the move makes on servers."""
    cluster_id: str
    units: tuple[Unit, ...]
    tenants: tuple[TenantId, ...]
    """Whose rows are carried. For slots: those that had rows when it was planned."""
    source: ShardId
    target: ShardId
    state: State
    max_pause_s: float
    paused: bool = False
    lease: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What later steps need: epochs, positions, rows, bytes, what was there before."""
    note: str = ""
    """Why it stopped, if it did."""
    created_at: datetime | None = None
    changed_at: datetime | None = None

    @property
    def of_slots(self) -> tuple[int, ...]:
        """The slots that it moves; none when it moves one tenant."""
        return tuple(unit.slot for unit in self.units if isinstance(unit, SlotUnit))

    def tenants_of(
        self, unit: str, tenants: tuple[TenantId, ...] | None = None
    ) -> tuple[TenantId, ...]:
        """Those of the move's tenants, or of these, that are of one unit, by its name."""
        found, tenants = read_unit(unit), self.tenants if tenants is None else tenants
        if isinstance(found, SlotUnit):
            return tuple(tenant for tenant in tenants if slot_of(tenant) == found.slot)
        return tenants

    @property
    def title(self) -> str:
        """What moves, for people."""
        match self.units:
            case (PinUnit(tenant),):
                return f"tenant {tenant}"
            case units:
                return f"{len(units)} slots"

    def document(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "id": self.id,
            "moves": self.title,
            "tenants": list(self.tenants[:100]),
            "slots": list(self.of_slots),
            "source": self.source,
            "target": self.target,
            "state": self.state.value,
            "paused": self.paused,
            "lease": self.lease,
            "note": self.note,
            "facts": dict(self.facts),
            "created_at": self.created_at.isoformat() if self.created_at else None,
            "changed_at": self.changed_at.isoformat() if self.changed_at else None,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a move is; told at every transition, and about once a second while rows are copied."""

    move: int
    title: str
    source: ShardId
    target: ShardId
    state: State
    rows: int = 0
    rows_expected: int = 0
    bytes: int = 0
    lag_bytes: int = 0
    eta_s: float | None = None
    pause_s: float | None = None
    note: str = ""

    def document(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "move": self.move,
            "moves": self.title,
            "source": self.source,
            "target": self.target,
            "state": self.state.value,
            "rows": self.rows,
            "rows_expected": self.rows_expected,
            "bytes": self.bytes,
            "lag_bytes": self.lag_bytes,
            "eta_s": self.eta_s,
            "pause_s": self.pause_s,
            "note": self.note,
        }
