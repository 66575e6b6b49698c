"""The tour: acts as clients and shows the main job with its evidence, step by step.

Every step compares what the API said with what is known to be true, and fails otherwise.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from server.demo.client import Answer, Client
from server.demo.errors import StepFailed
from server.demo.screen import Screen
from server.demo.stage import Stage
from shardmap import ShardId

READS_BESIDE_THE_KILL: Final = 300
WRITES_READ_BACK: Final = 20
RECOVERED_WITHIN_S: Final = 20.0


def prove(claim: bool, what: str, *evidence: object) -> None:  # noqa: FBT001 - reads as an assertion
    """Go on only if the claim is true.

    Raises:
        StepFailed: It is not; carries the evidence.
    """
    if not claim:
        raise StepFailed(" ".join((what, *(repr(piece) for piece in evidence))))


@dataclass(frozen=True, slots=True)
class Tour:
    """One walk through a running demonstration."""

    stage: Stage
    client: Client
    screen: Screen

    async def run(self) -> None:
        """All steps in order.

        Raises:
            StepFailed: A step proved untrue.
        """
        steps: Sequence[tuple[str, Callable[[], Awaitable[None]]]] = (
            ("every server is up", self.everything_is_up),
            ("the same query for tenants on different shards", self.two_tenants),
            ("a write, read back at once from a replica", self.read_your_writes),
            ("a report over all shards for the service key", self.report),
            ("a tenant cannot reach another's rows", self.isolation),
            ("a replica is killed while reads go on", self.replica_killed),
            ("every server is up again", self.everything_is_up),
        )
        for number, (title, step) in enumerate(steps, start=1):
            self.screen.say()
            self.screen.step(f"{number}. {title}")
            await step()
        self.screen.say()
        self.screen.step(f"all {len(steps)} steps proved true")

    # Steps

    async def everything_is_up(self) -> None:
        """Each server is what it should be, and the API says so."""
        async with asyncio.timeout(RECOVERED_WITHIN_S):
            while (sick := await self._sick()) or (await self.client.health())[0] != 200:
                if sick and not await self._recovering(sick):
                    break
                await asyncio.sleep(0.2)
        status, health = await self.client.health()
        prove(not sick, "servers are not healthy:", sick)
        prove(status == 200 and health["status"] == "ok", "the API is not healthy:", health)
        count = len(self.stage.cluster.servers())
        self._evidence(f"{count} servers of {count} healthy, /health: {health['status']}")

    async def two_tenants(self) -> None:
        """One query, two keys: each is answered from its own shard, with its own rows."""
        query = "orders?select=id,total,placed_at&order=total.desc&limit=3"
        first, second = self.stage.two_tenants()
        for tenant in (first, second):
            answer = await self._read(tenant, query, prefer="count=exact")
            home = self._home(tenant)
            prove(answer.shards == (home,), f"tenant {tenant} lives on {home}:", answer.served)
            expected = self.stage.loaded.orders[tenant]
            prove(answer.total == expected, f"tenant {tenant} has {expected}:", answer.total)
            self._evidence(
                f"tenant {tenant}: {answer.total:,} orders, the dearest {answer.rows[0]['total']}"
                f"  <- {answer.served[0]}"
            )

    async def read_your_writes(self) -> None:
        """Each write is seen by the next read, and replicas answer those reads."""
        tenant, _ = self.stage.two_tenants()
        key = self._key(tenant)
        by_replica = 0
        last: Answer | None = None
        for number in range(WRITES_READ_BACK):
            body = {"customer_id": 1, "status": "placed", "total": f"{number}.50", "note": "tour"}
            written = await self.client.ask(
                key, "POST", "orders?select=id", body=body, prefer="return=representation"
            )
            prove(written.status == 201, "the write failed:", written)
            new = written.rows[0]["id"]
            last = await self._read(tenant, f"orders?id=eq.{new}&select=id,total,tenant_id")
            wanted = [{"id": new, "total": float(f"{number}.50"), "tenant_id": tenant}]
            prove(_same(last.rows, wanted), "the write was not read back:", last.rows, wanted)
            by_replica += last.by_replica
        prove(by_replica > 0, "no replica ever answered:", last)
        self._evidence(
            f"{WRITES_READ_BACK} of {WRITES_READ_BACK} writes read back at once,"
            f" {by_replica} from a replica  <- {last.served[0] if last else ''}"
        )
        removed = await self.client.ask(key, "DELETE", "orders?note=eq.tour", prefer="count=exact")
        prove(removed.total == WRITES_READ_BACK, "the orders of the tour stay:", removed)

    async def report(self) -> None:
        """The service key sees every tenant: rows of all shards, merged in order."""
        query = "orders?select=tenant_id,id,total&order=total.desc,tenant_id,id&limit=40"
        answer = await self._service(query, prefer="count=exact")
        everything = sum(self.stage.loaded.orders.values())
        totals = [float(row["total"]) for row in answer.rows]
        shards = {self._home(row["tenant_id"]) for row in answer.rows}
        prove(answer.total == everything, f"there are {everything} orders:", answer.total)
        prove(totals == sorted(totals, reverse=True), "the merge is out of order:", totals)
        prove(
            set(answer.shards) == set(self.stage.loaded.shard_map.homes) and len(shards) > 1,
            "not every shard took part:",
            answer.served,
        )
        self._evidence(
            f"{answer.total:,} orders in all, the dearest {answer.rows[0]['total']} of tenant"
            f" {answer.rows[0]['tenant_id']}  <- {', '.join(answer.served)}"
        )
        companies = await self._service("companies?select=name,plan&order=tenant_id&limit=1")
        prove(len(companies.rows) == 1, "the global table is empty:", companies)
        self._evidence(f"global table: {companies.rows[0]['name']}  <- {companies.served[0]}")

    async def isolation(self) -> None:
        """Every way that is tried ends in a refusal or with own rows only."""
        own, other = self.stage.two_tenants()
        key = self._key(own)
        before = await self._read(other, "orders?select=id&limit=1", prefer="count=exact")
        named = await self.client.ask(key, "GET", f"orders?tenant_id=eq.{other}")
        prove(named.status == 403, "another tenant's rows were asked for and not refused:", named)
        listed = await self._read(own, f"orders?tenant_id=in.({own},{other})&select=tenant_id")
        tenants = {row["tenant_id"] for row in listed.rows}
        prove(tenants == {own}, "rows of other tenants were listed:", tenants)
        forged = {"tenant_id": other, "customer_id": 1, "note": "forged"}
        inserted = await self.client.ask(key, "POST", "orders", body=forged)
        prove(inserted.status == 403, "a row was written for another tenant:", inserted)
        removed = await self.client.ask(key, "DELETE", f"orders?tenant_id=eq.{other}")
        prove(removed.status == 403, "another tenant's rows were deleted:", removed)
        header = await self.client.ask(self.stage.key("authenticated"), "GET", "orders")
        prove(header.status == 403, "a key without a tenant saw rows:", header)
        after = await self._read(other, "orders?select=id&limit=1", prefer="count=exact")
        prove(after.total == before.total, "the other tenant's rows changed:", after.total)
        self._evidence(f"tenant {own} asks for tenant {other}: 403, {named.rows['message']}")
        self._evidence(f"listed by in.({own},{other}): rows of tenant {own} only; 5 ways tried")

    async def replica_killed(self) -> None:
        """SIGKILL of one replica under load: no read fails, and none comes from the dead one."""
        tenant, _ = self.stage.two_tenants()
        shard = self.stage.loaded.shard_map.shards[ShardId(self._home(tenant))]
        victim = shard.replicas[0].name
        killed = asyncio.Event()
        answers: list[Answer] = []

        async def read() -> None:
            for number in range(READS_BESIDE_THE_KILL):
                answers.append(await self._read(tenant, f"orders?id=eq.{number + 1}&select=id"))
                if number == READS_BESIDE_THE_KILL // 3:
                    await self.stage.cluster.kill(victim)
                    killed.set()

        await read()
        prove(killed.is_set(), "the replica was not killed")
        prove(all(a.status == 200 for a in answers), "reads failed:", {a.status for a in answers})
        after = answers[READS_BESIDE_THE_KILL // 3 + 1 :]
        ghosts = [a for a in after if a.server() == victim]
        prove(not ghosts, f"{victim} answered after its death")
        others = sorted({a.server() for a in after})
        self._evidence(f"{victim} killed: {len(answers)} of {len(answers)} reads answered")
        self._evidence(f"after the kill by {', '.join(others)}")
        await self.stage.cluster.start(victim)
        self._evidence(f"{victim} started again")

    # What is known

    def _home(self, tenant: int) -> str:
        return self.stage.loaded.home(tenant)

    def _key(self, tenant: int) -> str:
        return self.stage.key("authenticated", tenant)

    async def _read(self, tenant: int, query: str, prefer: str = "") -> Answer:
        answer = await self.client.ask(self._key(tenant), "GET", query, prefer=prefer)
        prove(answer.status in {200, 206}, f"GET {query} failed:", answer)
        return answer

    async def _service(self, query: str, prefer: str = "") -> Answer:
        answer = await self.client.ask(self.stage.key("service_role"), "GET", query, prefer=prefer)
        prove(answer.status in {200, 206}, f"GET {query} failed:", answer)
        return answer

    async def _sick(self) -> list[str]:
        status = await self.stage.cluster.status()
        return [server.server.name for server in status.servers if not server.healthy]

    async def _recovering(self, sick: list[str]) -> bool:
        """Whether each sick server at least runs: then it may only need a moment."""
        return all(self.stage.cluster.server(name).pid is not None for name in sick)

    def _evidence(self, text: str) -> None:
        self.screen.say(f"            {text}")


def _same(rows: Any, wanted: list[dict[str, Any]]) -> bool:
    return [{**row, "total": float(row["total"])} for row in rows] == wanted
