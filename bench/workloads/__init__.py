"""The workloads by name."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from bench.errors import WorkloadUnknown
from bench.workloads import ycsb
from bench.workloads.operation import SERVICE, Client, Operation, Tokens
from bench.workloads.points import MIXES, POINT_SQL, TABLE, points, tenants_of
from bench.workloads.workload import Size, Workload
from bench.workloads.ycsb import Ycsb

__all__ = [
    "POINT_SQL",
    "SERVICE",
    "TABLE",
    "WORKLOADS",
    "Client",
    "Operation",
    "Size",
    "Tokens",
    "Workload",
    "tenants_of",
    "workload",
]


class Known(NamedTuple):
    """A workload that can be asked for."""

    about: str
    make: Callable[[Size], Workload]


_ABOUT: Final = {
    "point-read": "one row of one tenant by its key",
    "list": "a page of 20 rows of one tenant, in order",
    "write": "an update of one row",
    "mixed": "80 % point reads, 20 % updates",
    "scatter": "a page of 20 rows over every shard, merged in order, with a service key",
    "zipf": "point reads of tenants drawn with a zipfian skew of 0.99",
}

WORKLOADS: Final[Mapping[str, Known]] = {
    **{name: Known(_ABOUT[name], partial(points, name)) for name in MIXES},
    **{name: Known(about, partial(Ycsb, name)) for name, about in ycsb.ABOUT.items()},
}


def workload(name: str, size: Size) -> Workload:
    """The workload of that name.

    Raises:
        WorkloadUnknown: There is none.
    """
    known = WORKLOADS.get(name)
    if known is None:
        raise WorkloadUnknown(
            f"no workload is called {name}", hint=f"there are: {', '.join(WORKLOADS)}"
        )
    return known.make(size)
