"""Facts as log lines: one event name, a level, and fields. Never parameters, tokens or rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, assert_never

from router import (
    AnswerRepeated,
    CommitLost,
    Discovered,
    DurabilityMissed,
    EndpointChanged,
    FloorBeyondTimeline,
    FreshnessMissed,
    InFlightLimited,
    InFlightLimitEnded,
    MapAdopted,
    MoveAwaited,
    Observation,
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
from server.mapwatch import (
    CatalogFound,
    CatalogLost,
    CopyFailed,
    MapUnusable,
    WatchFailed,
    WatchReport,
)
from server.moves import MoveKept, MoveNotKept
from server.observe.facts import (
    AnswerBroken,
    Fact,
    FailoverFact,
    FenceFact,
    OverloadBegan,
    OverloadEnded,
    ReplicaFact,
    RequestAnswered,
    RequestCrashed,
    TwoPhaseFact,
)
from server.reloads import (
    ChannelLost,
    ConfigReloaded,
    ConfigUnusable,
    ReloadAsked,
    ReloadFact,
)
from server.shared.facts import (
    FloorNotLearned,
    FloorUnpublished,
    SharedFact,
    SharedFound,
    SharedLost,
)


class Level(IntEnum):
    """How much a line matters."""

    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class Line:
    """One line. An `error` is written with its traceback."""

    level: Level
    event: str
    fields: Mapping[str, object]
    error: BaseException | None = None


_LEVELS: Final = {
    "up": Level.INFO,
    "primary": Level.INFO,
    "replica": Level.INFO,
    "conflict": Level.ERROR,
}
"""Of changes of an endpoint's state; of others it is a warning."""
_FROM_CLIENTS: Final = "sqlstate:"
"""Prefix of the codes of statements that PostgreSQL refused: mostly mistakes of clients."""


def line_of(fact: Fact, slow_request_s: float) -> Line:  # noqa: C901 - one case per kind
    """The line for a fact."""
    match fact:
        case RequestAnswered():
            return _request(fact, slow_request_s)
        case RequestCrashed(method, route, request_id, error):
            where = {"method": method, "route": route, "request_id": request_id}
            return Line(Level.ERROR, "request_crashed", where, error)
        case AnswerBroken(route, request_id, code, sent_bytes):
            what = {"route": route, "request_id": request_id, "code": code, "sent": sent_bytes}
            return Line(Level.WARN, "answer_broken", what)
        case OverloadBegan(waiting, lag_s):
            return Line(Level.WARN, "overloaded", {"waiting": waiting, "lag_ms": _ms(lag_s)})
        case OverloadEnded(shed):
            return Line(Level.INFO, "overload_ended", {"shed": shed})
        case SharedLost() | SharedFound() | FloorUnpublished() | FloorNotLearned():
            return _of_shared_state(fact)
        case MoveKept(move, title, state):
            return Line(Level.INFO, "move_kept", {"move": move, "moves": title, "state": state})
        case MoveNotKept(move, code, reason):
            return Line(Level.WARN, "move_not_kept", {"move": move, "code": code, "reason": reason})
        case CatalogLost() | CatalogFound() | MapUnusable() | CopyFailed() | WatchFailed():
            return _of_the_watch(fact)
        case ReloadAsked() | ChannelLost() | ConfigReloaded() | ConfigUnusable():
            return _of_reloads(fact)
        case _:
            return _of_the_router(fact)


def _of_the_router(fact: Observation) -> Line:  # noqa: C901, PLR0912 - one case for each fact
    match fact:
        case StatementServed(shard, endpoint, replica, write, seconds):
            how = {"replica": replica, "write": write, "ms": _ms(seconds)}
            return Line(Level.DEBUG, "statement_served", {**_at(shard, endpoint), **how})
        case StatementErred(shard, endpoint, code):
            level = Level.DEBUG if code.startswith(_FROM_CLIENTS) else Level.WARN
            return Line(level, "statement_failed", {**_at(shard, endpoint), "code": code})
        case ReadRetried(shard, endpoint, code):
            return Line(Level.WARN, "read_retried", {**_at(shard, endpoint), "code": code})
        case FreshnessMissed(shard, waited_s):
            return Line(Level.DEBUG, "freshness_missed", {"shard": shard, "ms": _ms(waited_s)})
        case FloorBeyondTimeline():
            return _beyond(fact)
        case EndpointChanged(shard, endpoint, state, detail):
            level = _LEVELS.get(state, Level.WARN)
            what = {"state": state, "detail": detail}
            return Line(level, "endpoint_changed", {**_at(shard, endpoint), **what})
        case QueueOverflowed(shard, endpoint, waiting):
            return Line(Level.WARN, "queue_full", {**_at(shard, endpoint), "waiting": waiting})
        case InFlightLimited() | InFlightLimitEnded():
            return _of_limits(fact)
        case CommitLost(shard, endpoint):
            return Line(Level.ERROR, "commit_unknown", _at(shard, endpoint))
        case MapAdopted(epoch):
            return Line(Level.INFO, "map_adopted", {"epoch": epoch})
        case SchemaAdopted(version, tables):
            return Line(Level.INFO, "schema_adopted", {"version": version, "tables": tables})
        case WriteHeld() | DurabilityMissed() | AnswerRepeated():
            return _of_failover(fact)
        case UnitRefusing() | MoveAwaited():
            return _of_fences(fact)
        case StepReached() | TransactionRecovered() | RecoveryDelayed():
            return _of_two_phase(fact)
        case _:
            return _of_replicas(fact)


def _of_limits(fact: InFlightLimited | InFlightLimitEnded) -> Line:
    at = _at(fact.shard, fact.endpoint)
    match fact:
        case InFlightLimited(_, _, most, ceiling, inflation):
            what = {**at, "in_flight": most, "of": ceiling}
            if inflation is None:
                return Line(Level.INFO, "in_flight_limit_tried", what)
            slower = {"times_slower": round(inflation, 1)}
            return Line(Level.WARN, "in_flight_limited", {**what, **slower})
        case InFlightLimitEnded():
            return Line(Level.INFO, "in_flight_limit_ended", at)


def _of_replicas(fact: ReplicaFact) -> Line:
    match fact:
        case TrustChanged(shard, endpoint, trust, reason, detail):
            level = Level.WARN if reason else Level.INFO
            why = {"trust": trust, "reason": reason, "detail": detail}
            return Line(level, "endpoint_trust", {**_at(shard, endpoint), **why})
        case ReadHedged(shard, endpoint, outcome):
            late = {**_at(shard, endpoint), "outcome": outcome.value}
            return Line(Level.DEBUG, "read_hedged", late)
        case ReplicaDiscovered(shard, endpoint, outcome, detail):
            level = Level.WARN if outcome is Discovered.REFUSED else Level.INFO
            what = {"outcome": outcome.value, "detail": detail}
            return Line(level, "replica_discovered", {**_at(shard, endpoint), **what})
        case _:
            assert_never(fact)


def _of_fences(fact: FenceFact) -> Line:
    match fact:
        case UnitRefusing(shard, unit, code, first):
            level = Level.INFO if first else Level.DEBUG
            return Line(level, "unit_refused", {"shard": shard, "unit": unit, "code": code})
        case MoveAwaited(shard, waited_s, passed):
            outcome = "released" if passed else "refused"
            what = {"shard": shard, "ms": _ms(waited_s), "outcome": outcome}
            return Line(Level.DEBUG, "move_awaited", what)
        case _:
            assert_never(fact)


def _of_failover(fact: FailoverFact) -> Line:
    match fact:
        case WriteHeld(shard, waited_s, found):
            outcome = "released" if found else "refused"
            what = {"shard": shard, "ms": _ms(waited_s), "outcome": outcome}
            return Line(Level.DEBUG, "write_held", what)
        case DurabilityMissed(shard, endpoint, over):
            if over:
                return Line(Level.INFO, "durability_kept", _at(shard, endpoint))
            detail = "the map says quorum, and synchronous_standby_names is empty"
            return Line(
                Level.ERROR, "durability_missed", {**_at(shard, endpoint), "detail": detail}
            )
        case AnswerRepeated(shard):
            return Line(Level.DEBUG, "answer_repeated", {"shard": shard})
        case _:
            assert_never(fact)


def _beyond(fact: FloorBeyondTimeline) -> Line:
    level = Level.DEBUG if not fact.first else Level.WARN if fact.quorum else Level.ERROR
    where = {"shard": fact.shard, "timeline": fact.timeline, "floor_timeline": fact.floor.timeline}
    what = {
        "floor": _lsn(fact.floor.lsn),
        "ended": "unknown" if fact.ended is None else "..".join(map(_lsn, sorted({*fact.ended}))),
        "durability": "quorum" if fact.quorum else "async",
    }
    event = "acknowledged_writes_lost" if fact.lost and not fact.quorum else "floor_beyond_timeline"
    return Line(level, event, {**where, **what})


def _lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def _of_two_phase(fact: TwoPhaseFact) -> Line:
    match fact:
        case StepReached(transaction, step):
            what = {"transaction": transaction, "step": step.value}
            return Line(Level.DEBUG, "two_phase_step", what)
        case TransactionRecovered(shard, transaction, committed, age_s):
            how = {"outcome": "committed" if committed else "rolled back", "age_s": round(age_s, 3)}
            where = {"shard": shard, "transaction": transaction}
            return Line(Level.WARN, "transaction_recovered", {**where, **how})
        case RecoveryDelayed(shard, transaction, reason):
            delayed = {"shard": shard, "transaction": transaction, "reason": reason}
            return Line(Level.ERROR, "recovery_delayed", delayed)
        case _:
            assert_never(fact)


def _of_shared_state(fact: SharedFact) -> Line:
    match fact:
        case SharedLost(reason):
            return Line(Level.WARN, "shared_state_lost", {"reason": reason})
        case SharedFound(waiting):
            return Line(Level.INFO, "shared_state_found", {"waiting": waiting})
        case FloorUnpublished():
            return Line(Level.DEBUG, "floor_unpublished", {})
        case FloorNotLearned():
            return Line(Level.DEBUG, "floor_not_learned", {})
        case _:
            assert_never(fact)


def _of_the_watch(fact: WatchReport) -> Line:
    match fact:
        case CatalogLost(reason):
            return Line(Level.WARN, "catalog_lost", {"reason": reason})
        case CatalogFound():
            return Line(Level.INFO, "catalog_found", {})
        case MapUnusable(reason):
            return Line(Level.ERROR, "map_unusable", {"reason": reason})
        case CopyFailed(reason):
            return Line(Level.WARN, "map_copy_failed", {"reason": reason})
        case WatchFailed(error):
            return Line(Level.ERROR, "map_watch_failed", {}, error)
        case _:
            assert_never(fact)


def _of_reloads(fact: ReloadFact) -> Line:
    match fact:
        case ReloadAsked(what, by):
            return Line(Level.INFO, "reload_asked", {"what": what, "by": by})
        case ChannelLost(shard, reason):
            return Line(Level.WARN, "reload_channel_lost", {"shard": shard, "reason": reason})
        case ConfigReloaded(waiting):
            names = {"need_a_restart": ",".join(waiting)} if waiting else {}
            return Line(Level.WARN if waiting else Level.INFO, "config_reloaded", names)
        case ConfigUnusable(reason):
            return Line(Level.ERROR, "config_unusable", {"reason": reason})
        case _:
            assert_never(fact)


def _request(fact: RequestAnswered, slow_request_s: float) -> Line:
    bad = fact.status >= 500 or fact.seconds >= slow_request_s
    fields: dict[str, object] = {
        "method": fact.method,
        "route": fact.route,
        "status": fact.status,
        "ms": _ms(fact.seconds),
        "received": fact.request_bytes,
        "sent": fact.response_bytes,
        "request_id": fact.request_id,
    }
    if fact.code is not None:
        fields["code"] = fact.code
    return Line(Level.WARN if bad else Level.INFO, "request_answered", fields)


def _at(shard: str, endpoint: str) -> dict[str, str]:
    return {"shard": shard, "endpoint": endpoint}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
