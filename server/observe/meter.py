"""The reader of facts that counts."""

from typing import Final, assert_never

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
from server.mapwatch import CatalogFound, CatalogLost, CopyFailed, MapUnusable, WatchFailed
from server.moves import MoveKept, MoveNotKept
from server.observe.facts import (
    AnswerBroken,
    Fact,
    FailoverFact,
    OverloadBegan,
    OverloadEnded,
    RareFact,
    ReplicaFact,
    RequestAnswered,
    RequestCrashed,
    TwoPhaseFact,
)
from server.observe.tally import Tally
from server.reloads import ChannelLost, ConfigReloaded, ConfigUnusable, ReloadAsked
from server.shared.facts import FloorNotLearned, FloorUnpublished, SharedFound, SharedLost

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "-"})
OTHER_METHOD: Final = "OTHER"
"""A client may send any word as method; labels stay few."""


class Meter:
    """Raises the numbers of a tally."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._statuses = {status: str(status) for status in range(600)}

    def __call__(self, fact: Fact) -> None:
        """Count a fact. Those of every request are told apart first."""
        if isinstance(fact, RequestAnswered):
            method = fact.method if fact.method in _METHODS else OTHER_METHOD
            found = self._tally.request((method, fact.route, self._statuses[fact.status]))
            found.seconds.observe(fact.seconds)
            found.received_bytes.observe(fact.request_bytes)
            found.sent_bytes.observe(fact.response_bytes)
        elif isinstance(fact, StatementServed):
            labels = ("write" if fact.write else "read", fact.shard, fact.endpoint)
            self._tally.statement(labels).observe(fact.seconds)
        elif isinstance(fact, StepReached | TransactionRecovered | RecoveryDelayed):
            self._two_phase(fact)
        elif isinstance(fact, TrustChanged | ReadHedged | ReplicaDiscovered):
            self._replicas(fact)
        else:
            self._rare(fact)

    def _rare(self, fact: RareFact) -> None:  # noqa: C901, PLR0912 - one case for each fact
        tally = self._tally
        match fact:
            case StatementErred(shard, endpoint, code):
                tally.count("fluxshard_statements_failed", shard, endpoint, _bounded(code))
            case ReadRetried(shard, endpoint, code):
                tally.count("fluxshard_reads_retried", shard, endpoint, _bounded(code))
            case FreshnessMissed(shard, _):
                tally.count("fluxshard_freshness_missed", shard)
            case WriteHeld() | DurabilityMissed() | AnswerRepeated():
                self._failover(fact)
            case UnitRefusing(shard, _, code, _):
                tally.count("fluxshard_units_refused", shard, _bounded(code))
            case MoveAwaited(shard, _, passed):
                outcome = "released" if passed else "refused"
                tally.count("fluxshard_moves_awaited", shard, outcome)
            case FloorBeyondTimeline():
                durability = "quorum" if fact.quorum else "async"
                tally.count("fluxshard_floors_beyond_timeline", fact.shard, durability)
            case EndpointChanged(shard, endpoint, state, _):
                tally.count("fluxshard_endpoint_changes", shard, endpoint, state)
            case CommitLost(shard, endpoint):
                tally.count("fluxshard_commits_unknown", shard, endpoint)
            case RequestCrashed(_, route, _, _):
                tally.count("fluxshard_requests_crashed", route)
            case AnswerBroken(route, _, code, _):
                tally.count("fluxshard_answers_broken", route, _bounded(code))
            case MapAdopted():
                tally.count("fluxshard_maps_adopted")
            case MoveKept(_, _, state):
                tally.count("fluxshard_moves_kept", state)
            case MoveNotKept(_, code, _):
                tally.count("fluxshard_moves_not_kept", code)
            case CatalogLost():
                tally.count("fluxshard_catalog_lost")
            case SharedLost():
                tally.count("fluxshard_shared_state_lost")
            case FloorUnpublished():
                tally.count("fluxshard_floors_unpublished")
            case FloorNotLearned():
                tally.count("fluxshard_floors_not_learned")
            case ChannelLost(shard, _):
                tally.count("fluxshard_reload_channels_lost", shard)
            case (
                ReloadAsked()
                | ConfigReloaded()
                | ConfigUnusable()
                | SharedFound()
                | CatalogFound()
                | CopyFailed()
                | MapUnusable()
                | WatchFailed()
                | SchemaAdopted()
            ):
                pass
            case QueueOverflowed() | OverloadBegan() | OverloadEnded():
                pass  # the gauges know how many were turned away
            case InFlightLimited() | InFlightLimitEnded():
                pass  # the same
            case _:
                assert_never(fact)

    def _failover(self, fact: FailoverFact) -> None:
        match fact:
            case WriteHeld(shard, _, found):
                outcome = "released" if found else "refused"
                self._tally.count("fluxshard_writes_held", shard, outcome)
            case DurabilityMissed(shard, _, over):
                if not over:
                    self._tally.count("fluxshard_durability_missed", shard)
            case AnswerRepeated(shard):
                self._tally.count("fluxshard_answers_repeated", shard)
            case _:
                assert_never(fact)

    def _replicas(self, fact: ReplicaFact) -> None:
        match fact:
            case TrustChanged(shard, endpoint, _, reason, _):
                if reason:
                    self._tally.count("fluxshard_ejections", shard, endpoint, reason)
            case ReadHedged(shard, endpoint, outcome):
                self._tally.count("fluxshard_reads_hedged", shard, endpoint, outcome.value)
            case ReplicaDiscovered(shard, _, outcome, _):
                self._tally.count("fluxshard_replicas_discovered", shard, outcome.value)
            case _:
                assert_never(fact)

    def _two_phase(self, fact: TwoPhaseFact) -> None:
        match fact:
            case StepReached(_, step):
                self._tally.count("fluxshard_two_phase_steps", step.value)
            case TransactionRecovered(shard, _, committed, _):
                outcome = "committed" if committed else "rolled_back"
                self._tally.count("fluxshard_transactions_recovered", shard, outcome)
            case RecoveryDelayed(shard, _, _):
                self._tally.count("fluxshard_recoveries_delayed", shard)
            case _:
                assert_never(fact)


def _bounded(code: str) -> str:
    """A code fit for a label: of a SQLSTATE only its class, for users may raise any."""
    return code[: len("sqlstate:") + 2] if code.startswith("sqlstate:") else code
