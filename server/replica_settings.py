"""The settings about replicas: which of them answers a read, and when one is left out."""

from dataclasses import dataclass

from router import ReplicaChoice
from server.configuration.declaration import setting
from server.configuration.forms import DURATION, SIZE, TEXT, member


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """Which replica answers a read."""

    choice: ReplicaChoice = setting(  # noqa: RUF009 - makes a dataclass field
        "FLUXSHARD_REPLICA_CHOICE",
        member(ReplicaChoice),
        "power-of-two",
        "how the replica for a read is chosen; weights hold for all of them",
    )
    zone: str = setting(
        "FLUXSHARD_ZONE",
        TEXT,
        "",
        "where this server is: replicas of the same zone go before others; empty: all are alike",
    )
    slow_start_s: float = setting(
        "FLUXSHARD_SLOW_START",
        DURATION,
        "10s",
        "for how long the share of a replica grows that returns or is new; 0s: at once",
    )
    max_lag_bytes: int = setting(
        "FLUXSHARD_MAX_LAG_BYTES",
        SIZE,
        "16MiB",
        "a replica that has so much less of the log than its primary gets no reads",
    )
