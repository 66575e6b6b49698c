"""YCSB's core workloads A to F through the API, with tenants.

After Cooper et al., "Benchmarking Cloud Serving Systems with YCSB" (2010): records of ten fields of
100 bytes, drawn zipfian (0.99, scattered), and by recency in D. A record belongs to the tenant that
the hash of its number gives, so popular records are of any tenant and shard.

One thing differs from YCSB: a client inserts records of numbers of its own (it counts on in steps),
and in D it reads the newest of those and of the loaded ones, since clients share no counter.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.workloads.chances import YCSB_CONSTANT, Zipf, fnv, scattered
from bench.workloads.operation import Operation
from bench.workloads.workload import Size
from shardmap import Placement, Sharded, ShardId, ShardMap, TableName, TenantId

TABLE: Final = TableName("public.usertable")
FIELDS: Final = 10
FIELD_BYTES: Final = 100
LONGEST_SCAN: Final = 100
CLIENTS_AT_MOST: Final = 1_000
"""Clients insert at distances of so many."""
SEEDS: Final = 10_000
ADDED_AT_MOST: Final = 10**10
"""By all clients of one seed."""

MIXES: Final[Mapping[str, Mapping[str, float]]] = {
    "ycsb-a": {"read": 0.5, "update": 0.5},
    "ycsb-b": {"read": 0.95, "update": 0.05},
    "ycsb-c": {"read": 1.0},
    "ycsb-d": {"read": 0.95, "insert": 0.05},
    "ycsb-e": {"scan": 0.95, "insert": 0.05},
    "ycsb-f": {"read": 0.5, "read-modify-write": 0.5},
}

SCHEMA: Final = (
    "CREATE TABLE usertable (tenant_id integer NOT NULL, ycsb_key bigint NOT NULL, "
    + ", ".join(f"field{n} text NOT NULL" for n in range(FIELDS))
    + ", PRIMARY KEY (tenant_id, ycsb_key))",
    "GRANT ALL ON usertable TO authenticated, service_role",
)


@dataclass(frozen=True, slots=True)
class Ycsb:
    """One of the workloads."""

    name: str
    size: Size = field(default_factory=Size)

    @property
    def records(self) -> int:
        """How many are loaded, of all tenants."""
        return self.size.tenants * self.size.rows

    @property
    def data(self) -> str:
        """The same for all six."""
        return "usertable"

    @property
    def tables(self) -> Mapping[TableName, Placement]:
        """One sharded table."""
        return {TABLE: Sharded("tenant_id")}

    @property
    def tenants(self) -> Sequence[int]:
        """All."""
        return range(1, self.size.tenants + 1)

    def fill(self, shard_map: ShardMap, shard: ShardId) -> Sequence[str]:
        """The table with the records of the shard's tenants, in batches."""
        here = {
            tenant for tenant in self.tenants if shard_map.owner(TenantId(str(tenant))) == shard
        }
        own = [(self.tenant_of(key), key) for key in range(self.records)]
        own = [(tenant, key) for tenant, key in own if tenant in here]
        fields = ", ".join(
            f"rpad(md5(k::text || '/{n}'), {FIELD_BYTES}, md5(k::text))" for n in range(FIELDS)
        )
        batches = (own[at : at + 20_000] for at in range(0, len(own), 20_000))
        inserts = [
            f"INSERT INTO usertable SELECT t, k, {fields} FROM unnest("
            f"'{{{','.join(str(tenant) for tenant, _ in batch)}}}'::int[], "
            f"'{{{','.join(str(key) for _, key in batch)}}}'::bigint[]) AS r(t, k)"
            for batch in batches
        ]
        return (*SCHEMA, *inserts, "VACUUM (ANALYZE) usertable")

    def tenant_of(self, key: int) -> int:
        """Whose record it is."""
        return 1 + fnv(key) % self.size.tenants

    def operations(self, client: int, seed: int) -> Iterator[Operation]:
        """What a client does."""
        chance = random.Random(f"{seed}/{client}")
        mix = MIXES[self.name]
        kinds, shares = tuple(mix), tuple(mix.values())
        keys = _Keys(
            self.records, _first(self.records, client, seed), chance, newest=self.name == "ycsb-d"
        )
        make: Mapping[str, Callable[[random.Random, _Keys], Operation]] = {
            "read": self._read,
            "update": self._update,
            "insert": self._insert,
            "scan": self._scan,
            "read-modify-write": self._read_modify_write,
        }
        while True:
            kind = kinds[0] if len(kinds) == 1 else chance.choices(kinds, shares)[0]
            yield make[kind](chance, keys)

    def _read(self, _: random.Random, keys: "_Keys") -> Operation:
        key = keys.drawn()
        path = f"/rest/v1/usertable?ycsb_key=eq.{key}"
        return Operation("read", self.tenant_of(key), "GET", path, rows=key < self.records)

    def _update(self, chance: random.Random, keys: "_Keys") -> Operation:
        key = keys.drawn()
        return self._updated("update", key, chance)

    def _updated(self, kind: str, key: int, chance: random.Random) -> Operation:
        body = json.dumps({f"field{int(chance.random() * FIELDS)}": _text(chance)})
        path = f"/rest/v1/usertable?ycsb_key=eq.{key}"
        return Operation(kind, self.tenant_of(key), "PATCH", path, body)

    def _insert(self, chance: random.Random, keys: "_Keys") -> Operation:
        key = keys.added()
        values = {f"field{n}": _text(chance) for n in range(FIELDS)}
        body = json.dumps({"ycsb_key": key, **values})
        return Operation("insert", self.tenant_of(key), "POST", "/rest/v1/usertable", body)

    def _scan(self, chance: random.Random, keys: "_Keys") -> Operation:
        key, limit = keys.drawn(), 1 + int(chance.random() * LONGEST_SCAN)
        path = f"/rest/v1/usertable?ycsb_key=gte.{key}&order=ycsb_key&limit={limit}"
        return Operation("scan", self.tenant_of(key), "GET", path, rows=True)

    def _read_modify_write(self, chance: random.Random, keys: "_Keys") -> Operation:
        key = keys.drawn()
        path = f"/rest/v1/usertable?ycsb_key=eq.{key}"
        return Operation(
            "read-modify-write",
            self.tenant_of(key),
            "GET",
            path,
            rows=True,
            then=self._updated("read-modify-write", key, chance),
        )


class _Keys:
    """Which records a client asks for, and which it adds."""

    def __init__(self, records: int, first: int, chance: random.Random, *, newest: bool) -> None:
        self._records = records
        self._own: list[int] = []
        self._first = first
        zipf = Zipf(records, YCSB_CONSTANT, chance)
        self._draw = zipf if newest else scattered(zipf, records)
        self._newest = newest

    def drawn(self) -> int:
        """A record that is there."""
        if not self._newest:
            return self._draw()
        back = self._draw()
        if back < len(self._own):
            return self._own[-1 - back]
        return max(0, self._records - 1 - (back - len(self._own)))

    def added(self) -> int:
        """The number of a record that is not there yet."""
        key = self._first + len(self._own) * CLIENTS_AT_MOST
        self._own.append(key)
        return key


def _first(records: int, client: int, seed: int) -> int:
    """The first number that a client adds: no other client has it, nor a round of another seed."""
    return records + (seed % SEEDS) * ADDED_AT_MOST + client


def _text(chance: random.Random) -> str:
    return f"{chance.getrandbits(FIELD_BYTES * 4):0{FIELD_BYTES}x}"


ABOUT: Final = {
    "ycsb-a": "YCSB A: half reads, half updates, zipfian",
    "ycsb-b": "YCSB B: 95 % reads, 5 % updates, zipfian",
    "ycsb-c": "YCSB C: reads, zipfian",
    "ycsb-d": "YCSB D: 95 % reads of the latest, 5 % inserts",
    "ycsb-e": "YCSB E: 95 % scans of up to 100 rows, 5 % inserts",
    "ycsb-f": "YCSB F: half reads, half read-modify-writes",
}
