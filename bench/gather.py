"""Gathers of four shards through HTTP: a million rows in one order, then small ones of each kind.

In each run, one after the other: each shard alone by a cursor of its own with the text that the
router sends it; all shards so at once; and the ordered gather through the API with a service key.
Printed are medians: when the first bytes of rows came, when the last, and by how much the worker's
memory was at its peak above what it was when idle. Small gathers are `small_gathers.py`.

What several shards on one machine take from each other is in `all shards at once` as well: on a
machine with fewer processors than shards that, and not a shard alone, is what a gather can reach.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench.limits import ServiceTime
from bench.small_gathers import compare, lines, summary
from bench.stand import Stand, open_stand
from router import WHOLE_ROWS
from server.auth import mint
from server.embedded import DATABASE
from shardmap import ShardId, ShardMap, TenantId

SELECT = "id, name, amount, at"
PATH = "/rest/v1/points?select=id,name,amount,at&order=id"
SHARD_SQL = (
    f"SELECT (SELECT to_json(r.*)::text FROM (SELECT {SELECT}) AS r) AS j, points.id AS k0"
    " FROM points ORDER BY points.id ASC NULLS LAST"
)
"""What each shard of the gather is asked, but for its quotes."""

MEMORY_LIMIT_MIB = 64
RATIO_LIMIT = 1.3
FEW_ROWS = 40_000
"""Enough for small gathers."""
SLOTS = 32
"""Requests that each limited server serves at a time: more than are ever asked here."""


@dataclass(frozen=True, slots=True)
class Times:
    """When the first and the last rows came, in seconds from the start."""

    first_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """One run of everything."""

    alone: Times
    """Of the slowest shard, each for itself."""
    at_once: Times
    gather: Times
    one_shard: Times
    """One tenant's rows, all on one shard, through the API."""
    cpu_us: float
    """Of the worker, for each row of the gather."""
    grown_mib: float
    rows: int
    body_mib: float


async def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", type=int, default=25, help="small gathers of a kind in a round")
    parser.add_argument("--service-ms", type=float, nargs="*", default=[2, 5])
    parser.add_argument("--only-small", action="store_true", help="leave out the large ones")
    parser.add_argument("--unindexed", action="store_true", help="each shard has to sort its rows")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    figures: dict[str, Any] = {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores,"
        f" Python {platform.python_version()}",
        "shards": options.shards,
        "rounds": options.rounds,
    }
    if options.only_small:
        options.rows = min(options.rows, FEW_ROWS)
    filled = Filled(options.rows, options.shards, indexed=not options.unindexed)
    async with open_stand(1, shards=options.shards, fill=filled) as stand:
        figures["small"] = {"this machine, as it is": await _small(stand, filled, options)}
        if not options.only_small:
            runs = [await _run(stand, _key(stand), filled) for _ in range(options.rounds)]
            figures["large"] = _figures(runs, options)
    for service_ms in options.service_ms:
        limit = ServiceTime(SLOTS, service_ms / 1000)
        filled = Filled(FEW_ROWS, options.shards, indexed=True)
        async with open_stand(1, shards=options.shards, fill=filled, limit=limit) as stand:
            found = await _small(stand, filled, options)
            figures["small"][f"each server takes {service_ms:g} ms"] = found
    print(json.dumps(figures, indent=2) if options.json else _table(figures))


def _key(stand: Stand) -> str:
    claims = {"role": "service_role", "exp": int(time.time()) + 86400}
    return mint(claims, stand.secret)


async def _small(
    stand: Stand, filled: "Filled", options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    found = await compare(
        stand, _key(stand), filled.tenants, rounds=options.rounds, number=options.small
    )
    return {kind: summary(pairs) for kind, pairs in found.items()}


class Filled:
    """The table: one tenant on each shard, whose ids lie between those of the others."""

    def __init__(self, rows: int, shards: int, *, indexed: bool) -> None:
        self._each = rows // shards
        self._shards = shards
        self._indexed = indexed
        self.tenants: dict[ShardId, int] = {}

    def __call__(self, shard_map: ShardMap, shard: ShardId) -> str:
        """The SQL of a shard."""
        tenant = next(n for n in range(1, 10_000) if shard_map.owner(TenantId(str(n))) == shard)
        place = len(self.tenants)
        self.tenants[shard] = tenant
        index = "CREATE INDEX ON points (id);\n" if self._indexed else ""
        return f"""
CREATE TABLE points (
    tenant_id integer NOT NULL,
    id bigint NOT NULL,
    name text NOT NULL,
    amount numeric(12, 2) NOT NULL,
    at timestamptz NOT NULL
);
INSERT INTO points
SELECT {tenant}, n * {self._shards} + {place}, 'point ' || n, n / 7.0, '2026-11-24T12:00:00Z'
FROM generate_series(1, {self._each}) n;
{index}GRANT ALL ON points TO authenticated, service_role;
VACUUM (ANALYZE) points;
"""


async def _run(stand: Stand, key: str, filled: Filled) -> Run:
    shards = tuple(filled.tenants)
    alone = [await _cursor(stand, shard) for shard in shards]
    together = asyncio.Barrier(len(shards))
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_cursor(stand, shard, together)) for shard in shards]
    at_once = [task.result() for task in running]
    one_shard = await _stream(stand, key, f"{PATH}&tenant_id=eq.{filled.tenants[shards[0]]}")
    worker = stand.worker_pid
    await asyncio.sleep(0.5)
    idle = _status(worker, "VmRSS")
    Path(f"/proc/{worker}/clear_refs").write_text("5")  # the peak is counted from here
    before = _cpu_s(worker)
    gather = await _stream(stand, key, PATH)
    cpu_us = (_cpu_s(worker) - before) / gather.rows * 1e6
    grown = _status(worker, "VmHWM") - idle
    return Run(
        _slowest(alone),
        _slowest(at_once),
        gather.times,
        one_shard.times,
        cpu_us,
        grown / 1024,
        gather.rows,
        gather.body_bytes / 2**20,
    )


def _slowest(times: list[Times]) -> Times:
    return Times(max(one.first_s for one in times), max(one.last_s for one in times))


async def _cursor(stand: Stand, shard: ShardId, together: asyncio.Barrier | None = None) -> Times:
    """All rows of a shard by a cursor on a warm session, in the batches of the router."""
    connection = await asyncpg.connect(stand.cluster.url(f"{shard}-a", DATABASE))
    try:
        prepared = await connection.prepare(SHARD_SQL)
        if together is not None:
            await together.wait()
        began = time.perf_counter()
        async with connection.transaction(readonly=True):
            cursor = await prepared.cursor()
            await cursor.fetch(WHOLE_ROWS + 1)
            first_s = time.perf_counter() - began
            while await cursor.fetch(WHOLE_ROWS):
                pass
        return Times(first_s, time.perf_counter() - began)
    finally:
        await connection.close()


@dataclass(slots=True)
class _Answer:
    times: Times
    rows: int
    body_bytes: int


class _Client(asyncio.Protocol):
    """Counts the rows of one answer, and keeps nothing."""

    def __init__(self) -> None:
        self.head = b""
        self.tail = b""
        self.rows = 0
        self.body_bytes = 0
        self.first_at = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Count the rows, by what stands between them."""
        if not self.first_at:
            self.head += data
            at = self.head.find(b"\r\n\r\n")
            if at < 0 or at + 4 == len(self.head):
                return
            self.first_at = time.perf_counter()
            self.head, data = self.head[:at], self.head[at + 4 :]
        self.body_bytes += len(data)
        self.rows += (self.tail + data).count(b", \n ")
        self.tail = data[-3:]

    def connection_lost(self, exc: Exception | None) -> None:
        """The answer is over."""
        if not self.ended.done():
            if exc is None:
                self.ended.set_result(None)
            else:
                self.ended.set_exception(exc)


async def _stream(stand: Stand, key: str, path: str) -> _Answer:
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_connection(_Client, "127.0.0.1", stand.port)
    began = time.perf_counter()
    transport.write(
        f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n"
        f"Authorization: Bearer {key}\r\n\r\n".encode()
    )
    await client.ended
    ended = time.perf_counter()
    if b" 200 " not in client.head[:20] or client.tail != b"\n\r\n"[-3:]:
        raise SystemExit(f"the answer is not whole: {client.head!r} … {client.tail!r}")
    return _Answer(
        Times(client.first_at - began, ended - began), client.rows + 1, client.body_bytes
    )


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status(pid: int, name: str) -> int:
    """A figure of a process in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise SystemExit(f"the system does not tell {name}")


def _figures(runs: list[Run], options: argparse.Namespace) -> dict[str, Any]:
    def median(of: Callable[[Run], float]) -> float:
        return statistics.median(map(of, runs))

    if {run.rows for run in runs} != {options.rows}:
        raise SystemExit(f"not all rows came: {[run.rows for run in runs]}")
    return {
        "rows": options.rows,
        "indexed": not options.unindexed,
        "body_mib": median(lambda run: run.body_mib),
        "cpu_us": median(lambda run: run.cpu_us),
        "grown_mib": [round(run.grown_mib, 1) for run in runs],
        "first_ms": {
            "slowest shard alone": median(lambda run: run.alone.first_s) * 1000,
            "slowest of all shards at once": median(lambda run: run.at_once.first_s) * 1000,
            "one shard through the API": median(lambda run: run.one_shard.first_s) * 1000,
            "gather": median(lambda run: run.gather.first_s) * 1000,
        },
        "last_s": {
            "slowest shard alone": median(lambda run: run.alone.last_s),
            "slowest of all shards at once": median(lambda run: run.at_once.last_s),
            "one shard through the API": median(lambda run: run.one_shard.last_s),
            "gather": median(lambda run: run.gather.last_s),
        },
        "ratios": {
            "first byte, to the slowest of all at once": median(
                lambda run: run.gather.first_s / run.at_once.first_s
            ),
            "last byte, to the slowest of all at once": median(
                lambda run: run.gather.last_s / run.at_once.last_s
            ),
            "last byte, to the slowest alone": median(
                lambda run: run.gather.last_s / run.alone.last_s
            ),
        },
    }


def _table(figures: dict[str, Any]) -> str:
    found = [
        f"gathers of {figures['shards']} shards, medians of {figures['rounds']} rounds;"
        f" {figures['machine']}"
    ]
    if "large" in figures:
        found += ["", *_large(figures["large"])]
    return "\n".join([*found, *lines(figures["small"])])


def _large(figures: dict[str, Any]) -> list[str]:
    ordered = "by an index" if figures["indexed"] else "by a sort on each shard"
    found = [
        f"{figures['rows']:,} rows in one order {ordered}, {figures['body_mib']:.0f} MiB",
        "",
        f"  memory above idle, at its peak: {max(figures['grown_mib']):.1f} MiB"
        f" (goal: under {MEMORY_LIMIT_MIB}); each round: {figures['grown_mib']}",
        f"  CPU of the worker for each row: {figures['cpu_us']:.2f} us",
        "",
        f"  {'':34s} {'first bytes':>12s} {'last bytes':>12s}",
    ]
    found += [
        f"  {name:34s} {figures['first_ms'][name]:9.1f} ms {figures['last_s'][name]:10.2f} s"
        for name in figures["first_ms"]
    ]
    found += ["", f"  ratios (goal: at most {RATIO_LIMIT})"]
    found += [f"    {name:44s} {ratio:6.2f}" for name, ratio in figures["ratios"].items()]
    return found


if __name__ == "__main__":
    asyncio.run(main())
