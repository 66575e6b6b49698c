"""Reads against the number of replicas, with servers of equal and limited capacity.

For each number a world of its own is made, with that many replicas and no others. In it, first a
closed loop of a fixed number of clients, the same for all: what saturates the servers. Then, in an
open loop, the highest rate that keeps a bound of latency (`bench.search`). Both are compared with
one replica. With none, the primary reads.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bench.limits import Limit, Unlimited
from bench.load import LoadSpec, measure
from bench.result import Result, Round, Run
from bench.search import Bound, Search
from bench.summary import Latencies
from bench.workloads import workload
from bench.world import SERVED_BY, World, WorldSpec, open_for

Told = Callable[[str], None]

BEGIN_AT: Final = 0.5
"""Share of the saturated rate from which on rates are tried."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    counts: Sequence[int]
    limit: Limit
    bound: Bound
    load: LoadSpec
    rounds: int
    """Of each closed loop."""
    control: bool
    """Whether the same is measured without a limit as well."""
    delay_s: float
    workers: int
    near: float


@dataclass(frozen=True, slots=True)
class Found:
    """What came out for one number of replicas."""

    saturated: Run
    kept: Run
    """The measurements at the highest rate that kept the bound."""
    rate: float

    @property
    def saturated_p99_ms(self) -> float:
        """Of all closed loops together: more replicas have to be no slower than one."""
        return Latencies().merged(one.all for one in self.saturated.rounds).at_ms(99)


async def replicas(plan: Plan, told: Told) -> Result:
    """Measure all numbers of replicas."""
    runs: list[Run] = []
    found: dict[int, Found] = {}
    for count in plan.counts:
        found[count] = await _of(plan, count, told)
        runs += [found[count].saturated, found[count].kept]
    control: dict[int, Run] = {}
    if plan.control:
        for count in dict.fromkeys((min(c for c in plan.counts if c), max(plan.counts))):
            control[count] = await _control(plan, count, told)
        runs += control.values()
    return Result(
        command="replicas",
        title=f"{plan.load.workload} against the number of replicas, one shard",
        runs=runs,
        figures=figures(found, control),
        notes=_notes(plan),
    )


async def _of(plan: Plan, count: int, told: Told) -> Found:
    spec = _world(plan, count, plan.limit)
    async with open_for(spec, workload(plan.load.workload, plan.load.size), told) as world:
        rounds = [await measure(world, plan.load) for _ in range(plan.rounds)]
        saturated = _run("saturated", count, plan.load, spec, rounds)
        top = sorted(one.rate for one in rounds)[len(rounds) // 2]
        told(
            f"{count} replica(s): {top:,.0f}/s saturated; looking for the rate that keeps the bound"
        )
        rate, kept = await _search(world, plan, top, told)
        load = replace(plan.load, rate=rate)
        return Found(saturated, _run("kept", count, load, spec, kept), rate)


async def _search(world: World, plan: Plan, top: float, told: Told) -> tuple[float, list[Round]]:
    search = Search(top * BEGIN_AT, top * (1 + plan.near), plan.near)
    kept_at: dict[float, list[Round]] = {}
    while (rate := search.next_rate) is not None:
        found = await measure(world, replace(plan.load, rate=rate))
        p99_ms = found.all.at_ms(99)
        kept = plan.bound.kept(
            p99_ms=p99_ms,
            answered=found.accounts["answered"],
            due=found.accounts["due"],
            failed=found.failed,
        )
        told(f"  {rate:,.0f}/s: p99 {p99_ms:.0f} ms, {'kept' if kept else 'not kept'}")
        if kept:
            kept_at.setdefault(rate, []).append(found)
        search.told(kept)
    return search.low, kept_at.get(search.low, [])


async def _control(plan: Plan, count: int, told: Told) -> Run:
    spec = _world(plan, count, Unlimited())
    async with open_for(spec, workload(plan.load.workload, plan.load.size), told) as world:
        rounds = [await measure(world, plan.load) for _ in range(plan.rounds)]
    return _run("control without a limit", count, plan.load, spec, rounds)


def _world(plan: Plan, count: int, limit: Limit) -> WorldSpec:
    return WorldSpec(
        replicas=count,
        limit=limit,
        delay_s=plan.delay_s,
        workers=plan.workers,
        settings=SERVED_BY,
        seed=plan.load.seed,
    )


def _run(what: str, count: int, load: LoadSpec, spec: WorldSpec, rounds: Sequence[Round]) -> Run:
    return Run(
        name=f"{count} replica(s), {what}",
        parameters={**load.as_json(), "replicas": count, "what": what},
        world=spec.as_json(),
        rounds=tuple(rounds),
    )


def figures(found: Mapping[int, Found], control: Mapping[int, Run]) -> dict[str, Any]:
    """What the command concludes: rates, ratios to one replica, spread, and how busy the box was."""
    base = found.get(1)
    by_count = {
        str(count): {
            "saturated_per_s": round(_median(each.saturated), 1),
            "saturated_p99_ms": each.saturated_p99_ms,
            "kept_per_s": round(each.rate, 1),
            "saturated_ratio": _ratio(
                _median(each.saturated), _median(base.saturated) if base else None
            ),
            "kept_ratio": _ratio(each.rate, base.rate if base else None),
            "spread": spread(each.saturated),
            **_busy((*each.saturated.rounds, *each.kept.rounds)),
        }
        for count, each in found.items()
    }
    first = _median(next(iter(control.values()))) if control else None
    return {
        "replicas": by_count,
        "control": {
            str(count): {
                "saturated_per_s": round(_median(run), 1),
                "ratio": _ratio(_median(run), first),
                **_busy(run.rounds),
            }
            for count, run in control.items()
        },
    }


def spread(run: Run) -> float | None:
    """How far the replicas' shares of the reads lie apart, as a share of their mean."""
    counts: dict[str, int] = {}
    for one in run.rounds:
        for name, number in one.served.items():
            if "replica" in name:
                counts[name] = counts.get(name, 0) + number
    if len(counts) < 2:
        return None
    mean = sum(counts.values()) / len(counts)
    return round((max(counts.values()) - min(counts.values())) / mean, 4)


def _busy(rounds: Sequence[Round]) -> dict[str, float]:
    """How busy the box was at most, and how much of it was all that belongs to the measurement."""
    cores = len(os.sched_getaffinity(0))
    return {
        "box_busy": max(one.spent["box_busy"] for one in rounds),
        "own_share_of_box": round(
            max(sum(one.spent["seconds"].values()) / one.seconds for one in rounds) / cores, 4
        ),
    }


def _median(run: Run) -> float:
    return sorted(one.rate for one in run.rounds)[len(run.rounds) // 2]


def _ratio(value: float, base: float | None) -> float | None:
    return round(value / base, 3) if base else None


def _notes(plan: Plan) -> list[str]:
    notes = [
        f"every server, the primary too, has the same limit: {plan.limit}",
        f"saturated: a closed loop of {plan.load.clients} clients, the same for every number",
        f"kept: the highest rate of an open loop with a {plan.bound}, in two of three measurements",
        "ratios are to one replica; spread is (most - least) / mean of reads by replica",
        "box_busy is of all processors, other people's processes included; own_share_of_box is"
        " what Fluxshard, PostgreSQL, limits and load generator together took of them, at most",
    ]
    if plan.delay_s:
        notes.append(f"replicas show commits {plan.delay_s * 1000:g} ms late")
    if plan.control:
        notes.append("control: the same without limits, where all servers share the box")
    return notes
