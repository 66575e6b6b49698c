"""The families of metrics: names, labels and meaning. The table of contents of `/metrics`."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Joining(Enum):
    """How the values of several workers become one."""

    SUM = auto()
    MOST = auto()
    LEAST = auto()


@dataclass(frozen=True, slots=True)
class Family:
    """One family without buckets. A counter's `name` leaves out the `_total` at its end."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    joining: Joining = Joining.SUM


_ENDPOINT: Final = ("shard", "endpoint")

COUNTERS: Final = (
    Family("process_cpu_seconds", "CPU time of all workers, user and system"),
    Family("fluxshard_reads_retried", "Reads that went to another endpoint", (*_ENDPOINT, "code")),
    Family("fluxshard_statements_failed", "Statements not answered", (*_ENDPOINT, "code")),
    Family("fluxshard_freshness_missed", "Reads that no replica was fresh enough for", ("shard",)),
    Family("fluxshard_requests_shed", "Requests turned away because of overload"),
    Family("fluxshard_pool_waits", "Requests that waited for a connection", _ENDPOINT),
    Family("fluxshard_pool_wait_seconds", "Time that they waited", _ENDPOINT),
    Family("fluxshard_pool_turned_away", "Requests that found no room to wait in", _ENDPOINT),
    Family(
        "fluxshard_pool_limited",
        "Times that fewer statements were let in because the endpoint had become slow",
        _ENDPOINT,
    ),
    Family(
        "fluxshard_units_refused",
        "Statements that a unit's fence did not let in",
        ("shard", "code"),
    ),
    Family(
        "fluxshard_moves_awaited",
        "Statements that waited for a tenant on the move",
        ("shard", "outcome"),
    ),
    Family("fluxshard_writes_held", "Writes that waited for a primary", ("shard", "outcome")),
    Family(
        "fluxshard_durability_missed",
        "Times that commits of a quorum shard were found to wait for no standby",
        ("shard",),
    ),
    Family("fluxshard_answers_repeated", "Requests answered as the first of their key", ("shard",)),
    Family(
        "fluxshard_floors_beyond_timeline",
        "Reads and writes of sessions whose floor lies behind the end of its timeline",
        ("shard", "durability"),
    ),
    Family("fluxshard_endpoint_changes", "Changes of an endpoint's state", (*_ENDPOINT, "state")),
    Family(
        "fluxshard_replicas_discovered",
        "Standbys named by primaries, by what became of them",
        ("shard", "outcome"),
    ),
    Family("fluxshard_reads_hedged", "Reads that were late there", (*_ENDPOINT, "outcome")),
    Family("fluxshard_ejections", "Replicas left out for failed reads", (*_ENDPOINT, "reason")),
    Family("fluxshard_commits_unknown", "Commits whose outcome is not known", _ENDPOINT),
    Family("fluxshard_two_phase_steps", "Steps of commits on several shards", ("step",)),
    Family(
        "fluxshard_transactions_recovered",
        "Prepared transactions of dead processes that were ended",
        ("shard", "outcome"),
    ),
    Family(
        "fluxshard_recoveries_delayed",
        "Prepared transactions that could not be ended at once",
        ("shard",),
    ),
    Family("fluxshard_requests_crashed", "Requests that met a mistake in this program", ("path",)),
    Family("fluxshard_analyses", "Statements by how their analysis was found", ("found",)),
    Family(
        "fluxshard_answers_broken", "Answers in pieces that failed on the way", ("path", "code")
    ),
    Family("fluxshard_maps_adopted", "Shard maps taken into use"),
    Family("fluxshard_shared_state_lost", "Times that shared state went away"),
    Family("fluxshard_floors_unpublished", "Answers given before others could learn of them"),
    Family("fluxshard_floors_not_learned", "Reads sent to primaries as nothing was known"),
    Family("fluxshard_moves_kept", "Moves gone on with here, by their new state", ("state",)),
    Family("fluxshard_moves_not_kept", "Moves that an operator has to look at", ("code",)),
    Family("fluxshard_catalog_lost", "Times that the catalog went away"),
    Family("fluxshard_reload_channels_lost", "Times that nobody heard NOTIFY", ("shard",)),
)

GAUGES: Final = (
    Family("process_resident_memory_bytes", "Resident memory of all workers"),
    Family("fluxbase_system_uptime_seconds", "Age of the oldest worker", joining=Joining.MOST),
    Family("fluxbase_active_connections", "Connections of clients"),
    Family("fluxbase_http_requests_in_flight", "Requests that have no response yet"),
    Family("fluxbase_request_queue_depth", "Requests that wait for a database connection"),
    Family("fluxbase_db_connections", "Open database connections", _ENDPOINT),
    Family("fluxbase_db_connections_idle", "Database connections without work", _ENDPOINT),
    Family("fluxbase_db_connections_max", "Most database connections", _ENDPOINT),
    Family("fluxshard_requests_waiting", "Requests that wait for a turn at the CPU of a worker"),
    Family("fluxshard_event_loop_lag_seconds", "Lag of an event loop", joining=Joining.MOST),
    Family("fluxshard_pool_waiting", "Requests that wait for a connection", _ENDPOINT),
    Family("fluxshard_pool_admitted", "Most connections in use at a time, now", _ENDPOINT),
    Family("fluxshard_workers", "Worker processes"),
    Family("fluxshard_map_epoch", "Epoch of the oldest map in use", joining=Joining.LEAST),
    Family("fluxshard_shard_readable", "1: the shard can be read", ("shard",), Joining.LEAST),
    Family("fluxshard_shard_writable", "1: it can be written", ("shard",), Joining.LEAST),
    Family("fluxshard_writes_waiting", "Writes that wait for a primary", ("shard",)),
    Family(
        "fluxshard_shard_conflict",
        "1: several servers claim to be its primary, on one timeline",
        ("shard",),
        Joining.MOST,
    ),
    Family(
        "fluxshard_shard_durable",
        "0: commits wait for no standby, and the map says that they do",
        ("shard",),
        Joining.LEAST,
    ),
    Family("fluxshard_endpoint_up", "1: the last probe was good", _ENDPOINT, Joining.LEAST),
    Family("fluxshard_endpoint_lag_bytes", "WAL not replayed yet", _ENDPOINT, Joining.MOST),
    Family(
        "fluxshard_endpoint_lag_seconds", "Age of what is not replayed", _ENDPOINT, Joining.MOST
    ),
    Family("fluxshard_endpoint_ejected", "1: ejected or on trial", _ENDPOINT, Joining.MOST),
    Family("fluxshard_endpoint_share", "Below 1: in its slow start", _ENDPOINT, Joining.LEAST),
)
