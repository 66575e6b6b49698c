"""Loads the demonstration's schema and rows: COPY, all shards at once, by the shard map."""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

import asyncpg

from server.demo.dataset import CATEGORIES, COLUMNS, COUNTRIES, Company, companies, company_rows
from server.embedded import ClusterEndpoints
from shardmap import (
    Endpoint,
    Global,
    KeyType,
    Pin,
    Placement,
    Reference,
    Sharded,
    ShardId,
    ShardMap,
    TableName,
    TenantId,
    propose,
    slot_of,
)

TABLES: Final[Mapping[TableName, Placement]] = {
    TableName("public.countries"): Reference(),
    TableName("public.categories"): Reference(),
    TableName("public.companies"): Global(),
    **{TableName(f"public.{name}"): Sharded("tenant_id") for name in COLUMNS},
}

_ID_SPAN: Final = 10**12
"""New ids of shard n begin at n times this, so that two shards never give out the same one."""

Connect = Callable[[Endpoint], "asyncio.Future[asyncpg.Connection]"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is in the cluster now, for the tour to compare answers with."""

    shard_map: ShardMap
    orders: Mapping[int, int]
    """Orders by tenant."""
    rows: int
    """All rows of sharded tables."""

    def home(self, tenant: int) -> ShardId:
        """The shard where the tenant lives."""
        return self.shard_map.owner(TenantId(str(tenant)))


def demo_map(endpoints: ClusterEndpoints) -> ShardMap:
    """The cluster's map: the ring's slots, and the second largest company pinned by hand.

    Tenant 1 is the largest; its neighbour in size is pinned to another shard, as an operator
    would do it.
    """
    slots = propose({shard.id: shard.weight for shard in endpoints.shards})
    home = slots[slot_of(TenantId("1"))]
    other = next((shard.id for shard in endpoints.shards if shard.id != home), home)
    return ShardMap(
        cluster_id=str(uuid.uuid4()),
        epoch=1,
        key_type=KeyType.INTEGER,
        shards={shard.id: shard for shard in endpoints.shards},
        catalog=endpoints.catalog.primary,
        catalog_replicas=endpoints.catalog.replicas,
        slots=slots,
        pins={TenantId("2"): Pin(other)},
        tables=TABLES,
    )


def script(name: str) -> str:
    """The text of one of the demonstration's SQL files."""
    return resources.files("server.demo").joinpath(name).read_text("utf-8")


class Loading:
    """Rows on their way into the shards, with a count for the progress bar."""

    def __init__(self, shard_map: ShardMap, progress: Callable[[int, int], None]) -> None:
        self._map = shard_map
        self._progress = progress
        self._companies = list(companies())
        self._total = sum(_size(company) for company in self._companies)
        self._done = 0

    async def run(self, connections: Mapping[ShardId, asyncpg.Connection]) -> Loaded:
        """Fills the tables of every shard; the schema is there already."""
        by_shard: dict[ShardId, list[Company]] = {shard: [] for shard in connections}
        for company in self._companies:
            by_shard[self._map.owner(TenantId(str(company.tenant)))].append(company)
        async with asyncio.TaskGroup() as tasks:
            for number, (shard, connection) in enumerate(connections.items(), start=1):
                tasks.create_task(self._fill(connection, number, by_shard[shard]))
        orders = {company.tenant: len(company.rows["orders"]) for company in self._companies}
        return Loaded(self._map, orders, self._total)

    async def _fill(
        self, connection: asyncpg.Connection, number: int, found: list[Company]
    ) -> None:
        async with connection.transaction():
            await connection.copy_records_to_table("countries", records=COUNTRIES)
            await connection.copy_records_to_table("categories", records=CATEGORIES)
            for table, columns in COLUMNS.items():
                for company in found:
                    rows = company.rows[table]
                    await connection.copy_records_to_table(table, records=rows, columns=columns)
                    self._done += len(rows)
                    self._progress(self._done, self._total)
                await connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {number * _ID_SPAN})"
                )
        await connection.execute("ANALYZE")


async def load_catalog(connection: asyncpg.Connection) -> None:
    """Fills the global table."""
    await connection.copy_records_to_table("companies", records=company_rows())


def _size(company: Company) -> int:
    return sum(len(rows) for rows in company.rows.values())
