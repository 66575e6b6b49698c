"""Small gathers of each kind against the same statement on one shard, with and without a network.

Ratios at two places. On this machine as it is, where the servers, the worker and the client share
its processors: four shards' work cannot take the time of one there. And with a proxy before each
server that gives every request the same service time (`bench.limits`), as real ones have: there the
ratio shows what of a gather our code does one after the other. The floor is bare asyncpg, which asks all shards at once
for the same text and does nothing with the answers.
"""

import asyncio
import json
import statistics
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import asyncpg

from bench.stand import Stand
from server.embedded import DATABASE
from shardmap import ShardId

Ask = Callable[[], Awaitable[None]]

PAGE: Final = "/rest/v1/points?select=id,name,amount,at&order=id&limit=20"
PAGE_SQL: Final = (
    "SELECT array_agg(g.j), array_agg(g.k0) FROM (SELECT * FROM ("
    "SELECT (SELECT to_json(r.*)::text FROM (SELECT id, name, amount, at) AS r) AS j, points.id AS k0"
    " FROM points ORDER BY points.id ASC NULLS LAST LIMIT 1000) AS b LIMIT $1::bigint) AS g"
)
"""What each shard is asked for the page, but for the position of its WAL."""

KINDS: Final[Mapping[str, str]] = {
    "concat": "SELECT id, name FROM points WHERE id <= 400{0} LIMIT 20",
    "ordered": "SELECT id, name FROM points WHERE id > 0{0} ORDER BY id LIMIT 20",
    "count": "SELECT count(*) FROM points WHERE id <= 400{0}",
    "groups of tenants": "SELECT tenant_id, avg(amount) FROM points WHERE id <= 400{0} GROUP BY 1",
    "other groups": "SELECT id % 10 AS d, avg(amount) FROM points WHERE id <= 400{0} GROUP BY d",
    "other distinct": "SELECT DISTINCT id % 10 AS d FROM points WHERE id <= 400{0} ORDER BY d",
    "pull-up": "SELECT id, name FROM points WHERE id <= 400{0} ORDER BY upper(name), id LIMIT 20",
}
"""Statements for the SQL door, with a place for the condition that leaves one tenant's rows."""

WARM: Final = 10
"""More than the executions after which PostgreSQL decides whether to keep a plan."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one of several equal requests took, in microseconds; of CPU, the mean."""

    time_us: float
    worker_us: float
    postgres_us: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A gather, and the same on the slowest shard alone, in one round."""

    one: Cost
    gather: Cost

    @property
    def ratio(self) -> float:
        """Of their times."""
        return self.gather.time_us / self.one.time_us


class Meters:
    """CPU time of the worker, and of all servers."""

    def __init__(self, worker: int, postmasters: Sequence[int]) -> None:
        self._worker = worker
        self._postmasters = postmasters

    def read(self) -> tuple[float, float]:
        """Microseconds so far."""
        servers = (
            child
            for pid in self._postmasters
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        )
        return _cpu_us(self._worker), sum(_cpu_us(int(pid)) for pid in servers)


def _cpu_us(pid: int) -> float:
    found = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        found += int(path.read_text().split()[0])
    return found / 1000


async def compare(
    stand: Stand, key: str, tenants: Mapping[ShardId, int], *, rounds: int, number: int
) -> dict[str, list[Pair]]:
    """Of each kind, a pair for each round."""
    pids = [stand.cluster.server(f"{shard}-a").pid for shard in tenants]
    meters = Meters(stand.worker_pid, [pid for pid in pids if pid is not None])
    found: dict[str, list[Pair]] = {}
    async with AsyncExitStack() as opened:
        client = await opened.enter_async_context(_Client(stand.port, key))
        floor = await opened.enter_async_context(_Floor(stand, tuple(tenants)))
        asked: dict[str, tuple[Ask, list[Ask]]] = {}
        asked["floor: bare asyncpg, the page"] = (floor.all, floor.each)
        asked["ordered page by REST"] = (
            client.page(PAGE),
            [client.page(f"{PAGE}&tenant_id=eq.{tenant}") for tenant in tenants.values()],
        )
        for kind, sql in KINDS.items():
            asked[f"{kind} by /api/v1/sql"] = (
                client.statement(sql.format("")),
                [client.statement(sql.format(f" AND tenant_id = {t}")) for t in tenants.values()],
            )
        for turn in range(rounds):
            for kind, (all_, each) in asked.items():
                for ask in (all_, *each):
                    for _ in range(WARM if turn == 0 else 2):
                        await ask()
                ones = [await _block(ask, number, meters) for ask in each]
                gather = await _block(all_, number, meters)
                found.setdefault(kind, []).append(
                    Pair(max(ones, key=lambda cost: cost.time_us), gather)
                )
    return found


async def _block(ask: Ask, number: int, meters: Meters) -> Cost:
    times = []
    loop = asyncio.get_running_loop()
    worker, postgres = meters.read()
    for _ in range(number):
        began = loop.time()
        await ask()
        times.append(loop.time() - began)
    worker_then, postgres_then = meters.read()
    return Cost(
        statistics.median(times) * 1e6,
        (worker_then - worker) / number,
        (postgres_then - postgres) / number,
    )


class _Client:
    """One connection to the API that asks one request after the other."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._head = f"HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {key}\r\n"

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    def page(self, path: str) -> Ask:
        """A GET."""
        return self._asking(f"GET {path} {self._head}\r\n".encode())

    def statement(self, sql: str) -> Ask:
        """A statement for the SQL door."""
        body = json.dumps({"sql": sql})
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
        return self._asking(f"POST /api/v1/sql {self._head}{length}\r\n\r\n{body}".encode())

    def _asking(self, request: bytes) -> Ask:
        async def ask() -> None:
            self._writer.write(request)
            head = await self._reader.readuntil(b"\r\n\r\n")
            at = head.index(b"Content-Length: ") + 16
            body = await self._reader.readexactly(int(head[at : head.index(b"\r", at)]))
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit((head + body).decode())

        return ask


class _Floor:
    """A connection to each shard, on the way that the worker takes."""

    def __init__(self, stand: Stand, shards: Sequence[ShardId]) -> None:
        self._stand = stand
        self._shards = shards
        self._opened: list[Any] = []
        self._prepared: list[Any] = []

    async def __aenter__(self) -> Self:
        for shard in self._shards:
            name = f"{shard}-a"
            connection = await asyncpg.connect(
                self._stand.cluster.url(name, DATABASE),
                host=self._stand.way_to(name),
                port=self._stand.cluster.server(name).port,
                server_settings={"jit": "off"},
            )
            self._opened.append(connection)
            self._prepared.append(await connection.prepare(PAGE_SQL))
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._opened:
            await connection.close()

    async def all(self) -> None:
        """All shards at once."""
        async with asyncio.TaskGroup() as tasks:
            for prepared in self._prepared:
                tasks.create_task(prepared.fetch(20))

    @property
    def each(self) -> list[Ask]:
        """Each shard alone."""

        def asking(prepared: Any) -> Ask:
            async def ask() -> None:
                await prepared.fetch(20)

            return ask

        return [asking(prepared) for prepared in self._prepared]


def summary(pairs: Sequence[Pair]) -> dict[str, float]:
    """Medians over the rounds."""

    def median(of: Callable[[Pair], float]) -> float:
        return round(statistics.median(map(of, pairs)), 2)

    return {
        "one_ms": median(lambda pair: pair.one.time_us / 1000),
        "gather_ms": median(lambda pair: pair.gather.time_us / 1000),
        "ratio": median(lambda pair: pair.ratio),
        "one_worker_us": median(lambda pair: pair.one.worker_us),
        "gather_worker_us": median(lambda pair: pair.gather.worker_us),
        "one_postgres_us": median(lambda pair: pair.one.postgres_us),
        "gather_postgres_us": median(lambda pair: pair.gather.postgres_us),
    }


def lines(figures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[str]:
    """A table for each place; each figure for one shard, then for the gather."""
    for place, kinds in figures.items():
        yield ""
        yield f"  {place:36s} {'one':>8s} {'gather':>9s} {'ratio':>6s}   {'worker us':>13s} {'PostgreSQL us':>15s}"
        for kind, cost in kinds.items():
            yield (
                f"    {kind:34s} {cost['one_ms']:5.2f} ms {cost['gather_ms']:6.2f} ms"
                f" {cost['ratio']:6.2f}   {cost['one_worker_us']:5.0f} {cost['gather_worker_us']:7.0f}"
                f" {cost['one_postgres_us']:7.0f} {cost['gather_postgres_us']:7.0f}"
            )
