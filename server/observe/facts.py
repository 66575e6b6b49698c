"""Facts that the server reports, next to those of the router; nobody formats here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from router import (
    AnswerRepeated,
    CommitLost,
    DurabilityMissed,
    EndpointChanged,
    FloorBeyondTimeline,
    FreshnessMissed,
    InFlightLimited,
    InFlightLimitEnded,
    MapAdopted,
    MoveAwaited,
    QueueOverflowed,
    ReadHedged,
    ReadRetried,
    RecoveryDelayed,
    ReplicaDiscovered,
    SchemaAdopted,
    StatementErred,
    StatementServed,
    StepReached,
    TransactionRecovered,
    TrustChanged,
    UnitRefusing,
    WriteHeld,
)
from server.mapwatch import WatchReport
from server.moves import MoveFact
from server.reloads import ReloadFact
from server.shared.facts import SharedFact


class RequestAnswered(NamedTuple):
    """A request has its response. `route` is the template; status 499: the client left.

    One is made for every request, and a tuple costs a fifth of a frozen dataclass.
    """

    method: str
    route: str
    status: int
    seconds: float
    request_bytes: int
    response_bytes: int
    request_id: str
    code: str | None
    """The error code that the client was told."""


@dataclass(frozen=True, slots=True)
class RequestCrashed:
    """A handler raised what nobody foresaw: a mistake in this program."""

    method: str
    route: str
    request_id: str
    error: Exception


@dataclass(frozen=True, slots=True)
class AnswerBroken:
    """An answer in pieces failed after its first: its client sees a body without its end."""

    route: str
    request_id: str
    code: str
    sent_bytes: int


FailoverFact = WriteHeld | DurabilityMissed | AnswerRepeated

FenceFact = UnitRefusing | MoveAwaited


@dataclass(frozen=True, slots=True)
class OverloadBegan:
    """Requests wait for this worker's CPU for so long that some are turned away from now on."""

    waiting: int
    lag_s: float


@dataclass(frozen=True, slots=True)
class OverloadEnded:
    """Nobody is turned away any more; `shed` were since the start of the worker."""

    shed: int


RareFact = (
    SharedFact
    | MoveFact
    | StatementErred
    | ReadRetried
    | FreshnessMissed
    | FailoverFact
    | FenceFact
    | FloorBeyondTimeline
    | EndpointChanged
    | QueueOverflowed
    | InFlightLimited
    | InFlightLimitEnded
    | CommitLost
    | MapAdopted
    | SchemaAdopted
    | WatchReport
    | RequestCrashed
    | AnswerBroken
    | OverloadBegan
    | OverloadEnded
    | ReloadFact
)

ReplicaFact = TrustChanged | ReadHedged | ReplicaDiscovered

TwoPhaseFact = StepReached | TransactionRecovered | RecoveryDelayed

Fact = RequestAnswered | StatementServed | TwoPhaseFact | ReplicaFact | RareFact

FactObserver = Callable[[Fact], None]
"""Called on the event loop for every fact; must not wait and must not raise."""
