"""The settings about replicas: which of them answers a read, and when one is left out."""

import re
from dataclasses import dataclass
from typing import Final

from router import HedgeAfter, ReplicaChoice
from server.configuration.declaration import setting
from server.configuration.forms import (
    BOOLEAN,
    DURATION,
    SIZE,
    TEXT,
    Form,
    integer,
    member,
    positive_duration,
    unquoted,
)

_OFF: Final = "off"
_PERCENTILE: Final = re.compile(r"p([1-9][0-9])", re.ASCII)
_DURATION: Final = positive_duration()


def _hedge_after(text: str) -> HedgeAfter | None:
    word = unquoted(text).lower()
    if word == _OFF:
        return None
    percentile = _PERCENTILE.fullmatch(word)
    if percentile is not None:
        return HedgeAfter(quantile=int(percentile[1]) / 100)
    try:
        return HedgeAfter(seconds=_DURATION.parse(text))
    except ValueError as error:
        raise ValueError(
            f"{text!r} is neither off, nor a percentile like p95, nor a time"
        ) from error


def _shown_hedge_after(after: HedgeAfter | None) -> str:
    if after is None:
        return _OFF
    if after.quantile is not None:
        return f"p{after.quantile * 100:.0f}"
    return _DURATION.show(after.seconds or 0)


HEDGE_AFTER: Final[Form[HedgeAfter | None]] = Form(
    "off or a percentile or a duration", _hedge_after, _shown_hedge_after
)


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
    ejection_failures: int = setting(
        "FLUXSHARD_EJECTION_FAILURES",
        integer(1, 1_000_000),
        "5",
        "so many reads in a row that fail on a replica, and it is left out for a while",
    )
    ejection_percent: int = setting(
        "FLUXSHARD_EJECTION_ERROR_PERCENT",
        integer(1, 100),
        "50",
        "or when so many of its reads fail within FLUXSHARD_EJECTION_WINDOW, of 20 or more",
    )
    ejection_window_s: float = setting(
        "FLUXSHARD_EJECTION_WINDOW",
        positive_duration(),
        "10s",
        "the time in which they are counted",
    )
    ejection_first_s: float = setting(
        "FLUXSHARD_EJECTION_TIME",
        positive_duration(),
        "1s",
        "for how long it is left out the first time; each time after that for twice as long",
    )
    ejection_longest_s: float = setting(
        "FLUXSHARD_EJECTION_TIME_MAX",
        positive_duration(),
        "30s",
        "the longest time; after as long without an ejection the first time counts again",
    )
    ejection_most_percent: int = setting(
        "FLUXSHARD_EJECTION_MAX_PERCENT",
        integer(0, 100),
        "50",
        "at most so many of a shard's replicas are left out together; lost connections are exempt",
    )
    hedge_after: HedgeAfter | None = setting(  # noqa: RUF009 - makes a dataclass field
        "FLUXSHARD_HEDGE_AFTER",
        HEDGE_AFTER,
        "off",
        "when a read is sent to a second replica as well: after a time, or after p95 of all reads",
    )
    hedge_most_percent: int = setting(
        "FLUXSHARD_HEDGE_MAX_PERCENT",
        integer(0, 100),
        "5",
        "at most so many of a shard's reads are sent to a second replica",
    )
    discover: bool = setting(
        "FLUXSHARD_DISCOVER_REPLICAS",
        BOOLEAN,
        "off",
        "whether replicas that the map does not name are found by asking primaries",
    )
    discover_port: int = setting(
        "FLUXSHARD_DISCOVER_PORT",
        integer(0, 65535),
        "0",
        "where they listen, unless their application_name ends in @HOST:PORT; 0: as their primary",
    )
