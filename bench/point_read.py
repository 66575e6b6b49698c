"""A warm point read through REST against `pgbench` of the same query, in the same run.

Rounds alternate between the two, so that a noisy machine harms both; figures are medians. Row level
security is off on the table unless `--rls` is given: then `pgbench` sends what a careful client
would, one by one. The ratio is requests per second through one worker, over tps of
`pgbench -M prepared` with as many connections. Below it: what each step of the pipeline costs.
"""

import argparse
import asyncio
import json
import platform
import statistics
import sys
from dataclasses import dataclass
from typing import Any

from bench.load import LoadSpec, measure
from bench.pgbench import pgbench
from bench.result import Round as Measured
from bench.stand import POINTS_PER_TENANT, Stand, open_stand
from bench.steps import steps
from bench.workloads import Size
from server.embedded import DATABASE

TENANTS = Size().tenants
QUERY = "SELECT id, name, amount, at FROM points WHERE tenant_id = :tenant AND id = :id"
JSON_QUERY = f"SELECT coalesce(json_agg(r), '[]')::text, count(*) FROM ({QUERY}) AS r"
IN_TRANSACTION = """BEGIN;
SELECT set_config('role', 'authenticated', true),
    set_config('request.jwt.claims', '{{"role":"authenticated","tenant_id":7}}', true);
{};
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Round:
    """One round of each contestant."""

    pgbench_tps: float
    pgbench_json_tps: float
    http: Measured

    def cpu_us(self, part: str) -> float:
        """What a part spent on one request."""
        return float(self.http.spent["seconds"][part]) / max(1, self.http.answered) * 1e6


async def main() -> None:
    """Run, print, and exit with 1 when requests failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--replicas", type=int, default=0)
    parser.add_argument(
        "--rls",
        action="store_true",
        help="row level security on; pgbench sends BEGIN, set_config, the query and COMMIT",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    async with open_stand(options.workers, options.replicas, rls=options.rls) as stand:
        rounds = [await _round(stand, options) for _ in range(options.rounds)]
    figures = _figures(rounds, options)
    figures["steps_us"] = steps()
    print(json.dumps(figures, indent=2) if options.json else _table(figures))
    if figures["http_errors"]:
        sys.exit(1)


async def _round(stand: Stand, options: argparse.Namespace) -> Round:
    plain = await _pgbench(stand, QUERY, options)
    enveloped = await _pgbench(stand, JSON_QUERY, options)
    load = LoadSpec(
        workload="point-read",
        size=Size(TENANTS, POINTS_PER_TENANT),
        clients=options.connections,
        seconds=options.seconds,
    )
    return Round(plain, enveloped, await measure(stand.world, load))


async def _pgbench(stand: Stand, query: str, options: argparse.Namespace) -> float:
    tenants = "7" if options.rls else f"random(1, {TENANTS})"
    script = f"\\set id random(1, {POINTS_PER_TENANT})\n\\set tenant {tenants}\n"
    script += IN_TRANSACTION.format(query) if options.rls else f"{query};\n"
    found = await pgbench(
        stand.cluster.url("shard_0-a", DATABASE),
        script,
        stand.world.directory,
        mode="prepared",
        clients=options.connections,
        seconds=options.seconds,
        parts={},
    )
    return found.rate


def _figures(rounds: list[Round], options: argparse.Namespace) -> dict[str, Any]:
    def median(values: list[float]) -> float:
        return statistics.median(values)

    tps = median([r.pgbench_tps for r in rounds])
    enveloped = median([r.pgbench_json_tps for r in rounds])
    rates = [r.http.rate for r in rounds]
    return {
        "machine": f"{platform.machine()}, {_cores()} cores, Python {platform.python_version()}",
        "workers": options.workers,
        "replicas": options.replicas,
        "connections": options.connections,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "pgbench_tps": tps,
        "pgbench_json_tps": enveloped,
        "http_rps": median(rates),
        "ratio": median([rate / r.pgbench_tps for rate, r in zip(rates, rounds, strict=True)]),
        "ratio_json": median(
            [rate / r.pgbench_json_tps for rate, r in zip(rates, rounds, strict=True)]
        ),
        "http_p50_ms": median([r.http.all.at_ms(50) for r in rounds]),
        "http_p99_ms": median([r.http.all.at_ms(99) for r in rounds]),
        "http_errors": sum(r.http.failed for r in rounds),
        "server_cpu_us": median([r.cpu_us("fluxshard") for r in rounds]),
        "postgres_cpu_us": median([r.cpu_us("postgresql") for r in rounds]),
        "generator_cpu_us": median([r.cpu_us("load generator") for r in rounds]),
    }


def _table(figures: dict[str, Any]) -> str:
    lines = [
        f"point read, {figures['connections']} connections, {figures['workers']} worker(s),"
        f" median of {figures['rounds']} rounds of {figures['seconds']:g} s; {figures['machine']}",
        "",
        f"  pgbench -M prepared, rows         {figures['pgbench_tps']:10,.0f} tps",
        f"  pgbench -M prepared, same JSON    {figures['pgbench_json_tps']:10,.0f} tps",
        f"  REST through Fluxshard            {figures['http_rps']:10,.0f} requests/s"
        f"   p50 {figures['http_p50_ms']:.1f} ms, p99 {figures['http_p99_ms']:.1f} ms,"
        f" {figures['http_errors']} errors",
        f"  ratio to pgbench                  {figures['ratio']:10.3f}"
        f"   ({figures['ratio_json']:.3f} of the same JSON)",
        "",
        f"  CPU per request: server {figures['server_cpu_us']:.0f} us, PostgreSQL"
        f" {figures['postgres_cpu_us']:.0f} us, load generator {figures['generator_cpu_us']:.0f} us",
        "",
        "  steps of the warm path, us each (measured alone, in one process):",
    ]
    lines += [f"    {name:44s} {cost:8.2f}" for name, cost in figures["steps_us"].items()]
    return "\n".join(lines)


def _cores() -> int:
    import os  # noqa: PLC0415 - one number

    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    asyncio.run(main())
