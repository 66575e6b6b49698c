"""Workloads on one table of points: reads of one row, pages, writes, reads of every shard.

Mixes are shares of kinds of operations. Tenants are drawn evenly, or by a zipfian choice: then one
tenant, and so one shard, has most of the load.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.workloads.chances import YCSB_CONSTANT, Zipf
from bench.workloads.operation import SERVICE, Operation
from bench.workloads.workload import Size
from shardmap import Placement, Sharded, ShardId, ShardMap, TableName, TenantId

TABLE: Final = TableName("public.points")
COLUMNS: Final = "id,name,amount,at"
PAGE: Final = 20

SCHEMA: Final = (
    """CREATE TABLE points (
        tenant_id integer NOT NULL,
        id bigint NOT NULL,
        name text NOT NULL,
        amount numeric(12, 2) NOT NULL,
        at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, id)
    )""",
    "GRANT ALL ON points TO authenticated, service_role",
)
BY_ID: Final = "CREATE INDEX ON points (id)"
"""For reads of every tenant in order of id; made after the data."""


POINT_SQL: Final = "SELECT id, name, amount, at FROM points WHERE tenant_id = $1 AND id = $2"
"""What the API asks PostgreSQL for a point read, for peers that speak SQL."""

Mix = Mapping[str, float]

MIXES: Final[Mapping[str, Mix]] = {
    "point-read": {"read": 1.0},
    "list": {"list": 1.0},
    "write": {"write": 1.0},
    "mixed": {"read": 0.8, "write": 0.2},
    "scatter": {"scatter": 1.0},
    "zipf": {"read": 1.0},
}


@dataclass(frozen=True, slots=True)
class Points:
    """A mix of operations on points."""

    mix: Mix
    size: Size = field(default_factory=Size)
    skew: float | None = None
    """None: every tenant has the same load."""

    @property
    def data(self) -> str:
        """Reads of every shard need an index that the others would not have."""
        return "points by id" if "scatter" in self.mix else "points"

    @property
    def tables(self) -> Mapping[TableName, Placement]:
        """One sharded table."""
        return {TABLE: Sharded("tenant_id")}

    @property
    def tenants(self) -> Sequence[int]:
        """All, and the service for reads of every shard."""
        return (SERVICE, *range(1, self.size.tenants + 1))

    def fill(self, shard_map: ShardMap, shard: ShardId) -> Sequence[str]:
        """The table with the points of the shard's tenants."""
        own = tenants_of(shard_map, shard, self.size.tenants)
        return (
            *SCHEMA,
            f"""INSERT INTO points
                SELECT t, n, 'point ' || n, n / 7.0, now()
                FROM unnest('{{{",".join(map(str, own))}}}'::int[]) t,
                    generate_series(1, {self.size.rows}) n""",
            *((BY_ID,) if "scatter" in self.mix else ()),
            "VACUUM (ANALYZE) points",
        )

    def operations(self, client: int, seed: int) -> Iterator[Operation]:
        """What a client does."""
        chance = random.Random(f"{seed}/{client}")
        kinds, shares = tuple(self.mix), tuple(self.mix.values())
        make: dict[str, Callable[[int, random.Random], Operation]] = {
            "read": self._read,
            "list": self._list,
            "write": self._write,
            "scatter": self._scatter,
        }
        tenant = self._tenant(chance)
        while True:
            kind = kinds[0] if len(kinds) == 1 else chance.choices(kinds, shares)[0]
            yield make[kind](tenant(), chance)

    def _tenant(self, chance: random.Random) -> Callable[[], int]:
        number, only = self.size.tenants, self.size.only
        if only:
            return lambda: chance.choice(only)
        if self.skew is None:
            return lambda: 1 + int(chance.random() * number)
        draw = Zipf(number, self.skew, chance)
        return lambda: 1 + draw()

    def _read(self, tenant: int, chance: random.Random) -> Operation:
        number = 1 + int(chance.random() * self.size.rows)
        path = f"/rest/v1/points?select={COLUMNS}&id=eq.{number}"
        return Operation("read", tenant, "GET", path, rows=True)

    def _list(self, tenant: int, chance: random.Random) -> Operation:
        after = int(chance.random() * max(1, self.size.rows - PAGE))
        path = f"/rest/v1/points?select={COLUMNS}&id=gt.{after}&order=id&limit={PAGE}"
        return Operation("list", tenant, "GET", path, rows=True)

    def _write(self, tenant: int, chance: random.Random) -> Operation:
        number = 1 + int(chance.random() * self.size.rows)
        path = f"/rest/v1/points?id=eq.{number}"
        body = json.dumps({"name": f"point {int(chance.random() * 1e6)}"})
        return Operation("write", tenant, "PATCH", path, body)

    def _scatter(self, _: int, chance: random.Random) -> Operation:
        after = int(chance.random() * max(1, self.size.rows - PAGE))
        path = f"/rest/v1/points?select=tenant_id,{COLUMNS}&id=gt.{after}&order=id&limit={PAGE}"
        return Operation("scatter", SERVICE, "GET", path, rows=True)


def tenants_of(shard_map: ShardMap, shard: ShardId, number: int) -> list[int]:
    """Which of the tenants 1 to `number` live on the shard."""
    return [
        tenant for tenant in range(1, number + 1) if shard_map.owner(TenantId(str(tenant))) == shard
    ]


def points(name: str, size: Size) -> Points:
    """The workload of that name at that size."""
    return Points(MIXES[name], size, YCSB_CONSTANT if name == "zipf" else None)
