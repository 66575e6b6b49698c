"""How every server's capacity is limited in the same way, so that replicas on one box can be compared.

Four PostgreSQL servers on two cores have no more capacity than one, so a gain from replicas can only
be shown with servers that are each limited well below the box. Two ways, the same for each server:

- **service time**: a proxy before each server lets `slots` requests be served at a time, and each
  occupies a slot for a fixed time (or an exponential one, by seed). A server so limited answers
  `slots / service time` requests a second and no more, whatever the box does meanwhile. Only what
  it is asked is limited: replication does not pass the proxy.
- **CPU quota**: a control group for each server's processes. Nearer to a small machine, but bursts
  are quantised by the kernel's period, and it needs the right to make groups.

A limit is written `none`, `service:8ms*2` (two slots of eight milliseconds), `service:8ms*2~`
(exponential) or `cpu:20%` (of one core).
"""

import heapq
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from bench.errors import LimitUnavailable


@dataclass(frozen=True, slots=True)
class Unlimited:
    """As fast as the box lets it: the control."""

    @property
    def capacity(self) -> float | None:
        """Requests a second that a server can answer, as far as the limit says."""
        return None

    def __str__(self) -> str:
        return "none: every server takes what the box gives"


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """So many requests at a time, each for a set time."""

    slots: int
    service_s: float
    exponential: bool = False

    @property
    def capacity(self) -> float | None:
        """Requests a second that a server can answer."""
        return self.slots / self.service_s

    def __str__(self) -> str:
        kind = "on average, exponential" if self.exponential else "each, fixed"
        return (
            f"service time: a proxy before each server serves {self.slots} request(s) at a time,"
            f" {self.service_s * 1000:g} ms {kind}; at most {self.capacity:,.0f} requests/s a server"
        )


@dataclass(frozen=True, slots=True)
class CpuQuota:
    """A share of one core for all processes of a server together."""

    share: float

    @property
    def capacity(self) -> float | None:
        """Not known beforehand."""
        return None

    def __str__(self) -> str:
        return f"CPU quota: a control group gives each server {self.share:.0%} of one core"


Limit = Unlimited | ServiceTime | CpuQuota

_SERVICE: Final = re.compile(r"service:([0-9.]+)ms(?:\*([0-9]+))?(~?)")
_CPU: Final = re.compile(r"cpu:([0-9.]+)%")


def read_limit(text: str) -> Limit:
    """The limit that a text names.

    Raises:
        LimitUnavailable: It names none.
    """
    if text == "none":
        return Unlimited()
    if (found := _SERVICE.fullmatch(text)) and float(found[1]) > 0 and int(found[2] or 1) > 0:
        return ServiceTime(int(found[2] or 1), float(found[1]) / 1000, bool(found[3]))
    if (found := _CPU.fullmatch(text)) and float(found[1]) > 0:
        return CpuQuota(float(found[1]) / 100)
    raise LimitUnavailable(
        f"{text!r} is no limit", hint="none, service:8ms*2, service:8ms*2~ or cpu:20%"
    )


def written(limit: Limit) -> str:
    """The text that `read_limit` reads."""
    match limit:
        case Unlimited():
            return "none"
        case ServiceTime(slots, service_s, exponential):
            return f"service:{service_s * 1000:g}ms*{slots}{'~' if exponential else ''}"
        case CpuQuota(share):
            return f"cpu:{share * 100:g}%"


class Turn(NamedTuple):
    """When a request is let through to the server, and from when its answer may go back."""

    begin: float
    end: float


class Capacity:
    """The slots of one server in virtual time: who comes first is served first.

    The times are exact whatever the timers of the proxy are: a request that was let through late
    does not make its slot free later. So over any busy time exactly `slots / service_s` requests are
    served, provided that the server itself keeps up. A client that leaves while it waits has used
    its turn, as one that leaves a busy server has. The slot is given back when the service time is
    over, also when the statement still waits for a lock: else a statement that holds the lock could
    not come through.
    """

    def __init__(self, limit: ServiceTime, seed: int) -> None:
        self._free_at = [0.0] * limit.slots
        chance = random.Random(seed)
        rate = 1 / limit.service_s
        self._service_s: Callable[[], float] = (
            (lambda: chance.expovariate(rate)) if limit.exponential else (lambda: limit.service_s)
        )

    def turn(self, now: float) -> Turn:
        """The turn of a request that arrives now."""
        begin = max(now, self._free_at[0])
        end = begin + self._service_s()
        heapq.heapreplace(self._free_at, end)
        return Turn(begin, end)
