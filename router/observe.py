"""Facts that the router reports; logs and metrics both read them, nobody formats here."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from router.live.freshness import Position
from shardmap import ShardId


class StatementServed(NamedTuple):
    """One shard answered one statement."""

    shard: ShardId
    endpoint: str
    replica: bool
    write: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class StatementErred:
    """One shard did not answer: `code` is ours, or `sqlstate:…`."""

    shard: ShardId
    endpoint: str
    code: str


@dataclass(frozen=True, slots=True)
class ReadRetried:
    """A read that failed on one endpoint goes to another."""

    shard: ShardId
    endpoint: str
    code: str


@dataclass(frozen=True, slots=True)
class FreshnessMissed:
    """No replica reached the reader's floor in time: the primary answers."""

    shard: ShardId
    waited_s: float


@dataclass(frozen=True, slots=True)
class WriteHeld:
    """A write waited for its shard's primary, and went on or was refused."""

    shard: ShardId
    waited_s: float
    found: bool


@dataclass(frozen=True, slots=True)
class UnitRefusing:
    """The fence of a unit did not let a statement in: its tenant is on the move, or our map is old.

    `code` is that of the refusal. `first`: of this unit at this epoch, in this process.
    """

    shard: ShardId
    unit: str
    code: str
    first: bool


@dataclass(frozen=True, slots=True)
class MoveAwaited:
    """What a fence had refused was run again until it got through, or the time was over."""

    shard: ShardId
    waited_s: float
    passed: bool


@dataclass(frozen=True, slots=True)
class DurabilityMissed:
    """Commits of a `quorum` shard wait for no standby, or (`over`) do so again."""

    shard: ShardId
    endpoint: str
    over: bool


@dataclass(frozen=True, slots=True)
class AnswerRepeated:
    """A write that had been done under its key was asked for again, and answered as then."""

    shard: ShardId


@dataclass(frozen=True, slots=True)
class FloorBeyondTimeline:
    """A reader was promised a position on a timeline that ended before it: the primary answers.

    `lost`: the end is known, and the position is behind it. Then something acknowledged is gone if
    the shard does not commit at quorum; if it does, WAL that nobody had acknowledged yet.
    """

    shard: ShardId
    floor: Position
    timeline: int
    ended: tuple[int, int] | None
    """Between which positions the floor's timeline ended, if that is known."""
    lost: bool
    quorum: bool
    first: bool
    """Of its timeline, in this process."""


@dataclass(frozen=True, slots=True)
class EndpointChanged:
    """An endpoint's state as probes see it, such as `up`, `down`, `primary` or `replica`."""

    shard: ShardId
    endpoint: str
    state: str
    detail: str


@dataclass(frozen=True, slots=True)
class QueueOverflowed:
    """So many wait for a connection of the endpoint that the next is turned away.

    Told once, until nobody waits.
    """

    shard: ShardId
    endpoint: str
    waiting: int


@dataclass(frozen=True, slots=True)
class InFlightLimited:
    """Statements became `inflation` times as slow, so fewer are let in to the endpoint at a time.

    None: that is to be found out by it. Told when it begins; until `InFlightLimitEnded` the limit
    goes up and down.
    """

    shard: ShardId
    endpoint: str
    most: int
    ceiling: int
    inflation: float | None


@dataclass(frozen=True, slots=True)
class InFlightLimitEnded:
    """All connections to the endpoint may be used again."""

    shard: ShardId
    endpoint: str


class Discovered(StrEnum):
    """What became of a standby that a primary named."""

    FOUND = "found"
    """It is a replica of the shard, and in use."""
    KNOWN = "known"
    """It is a member already, under another address."""
    REFUSED = "refused"
    GONE = "gone"
    """It was in use, and nobody has heard of it for a while."""


@dataclass(frozen=True, slots=True)
class ReplicaDiscovered:
    """A replica that the map does not name came into use, went out of it, or cannot be used."""

    shard: ShardId
    endpoint: str
    outcome: Discovered
    detail: str


class Hedged(StrEnum):
    """What became of a read that was late."""

    WON = "won"
    """It was sent to a second replica, which answered first."""
    LOST = "lost"
    """It was, and the first answered first."""
    WITHHELD = "withheld"
    """It was not: too many were lately."""


@dataclass(frozen=True, slots=True)
class ReadHedged:
    """A read was late on an endpoint, and another one could be asked."""

    shard: ShardId
    endpoint: str
    outcome: Hedged


@dataclass(frozen=True, slots=True)
class TrustChanged:
    """A replica is ejected by what reads met on it, on trial, or trusted again.

    `reason` of an ejection: `connections`, `failures`, `rate` or `trial`; else empty.
    """

    shard: ShardId
    endpoint: str
    trust: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class CommitLost:
    """A commit's outcome is unknown: the server was lost while it committed."""

    shard: ShardId
    endpoint: str


@dataclass(frozen=True, slots=True)
class MapAdopted:
    """A new shard map is in use."""

    epoch: int


@dataclass(frozen=True, slots=True)
class SchemaAdopted:
    """A new reading of the catalogs is in use."""

    version: str
    tables: int


class Step(StrEnum):
    """How far a commit on several shards has come."""

    RAN = "ran"
    """All statements ran; their transactions are open."""
    PREPARING = "preparing"
    PREPARED = "prepared"
    """One participant is prepared."""
    DECIDING = "deciding"
    """All of them are."""
    DECIDED = "decided"
    COMMITTED = "committed"
    """One participant has committed what was prepared."""
    FINISHED = "finished"
    """All have, and the client is about to be told."""
    UNDONE = "undone"
    """Rolled back everywhere, before a decision."""


class StepReached(NamedTuple):
    """A commit on several shards has come so far."""

    transaction: str
    step: Step


@dataclass(frozen=True, slots=True)
class TransactionRecovered:
    """What a process left prepared on this shard was committed or rolled back, as decided."""

    shard: ShardId
    transaction: str
    committed: bool
    age_s: float


@dataclass(frozen=True, slots=True)
class RecoveryDelayed:
    """A transaction that was left prepared on this shard cannot be ended yet."""

    shard: ShardId
    transaction: str
    reason: str


Observation = (
    StatementServed
    | StatementErred
    | ReadRetried
    | FreshnessMissed
    | WriteHeld
    | UnitRefusing
    | MoveAwaited
    | DurabilityMissed
    | AnswerRepeated
    | FloorBeyondTimeline
    | EndpointChanged
    | QueueOverflowed
    | InFlightLimited
    | InFlightLimitEnded
    | TrustChanged
    | ReadHedged
    | ReplicaDiscovered
    | CommitLost
    | MapAdopted
    | SchemaAdopted
    | StepReached
    | TransactionRecovered
    | RecoveryDelayed
)

Observer = Callable[[Observation], None]
"""Called on the event loop for every fact; must not wait and must not raise."""
