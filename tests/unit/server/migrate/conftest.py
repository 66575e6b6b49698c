"""Maps, files and ledgers for tests of migrations without a database; fixtures give functions."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from server.migrate.files import read_migrations
from server.migrate.lint import lint
from server.migrate.places import databases_of
from server.migrate.plan import Entry, State, plan_down, plan_up
from server.migrate.routing import route_all
from shardmap import (
    Endpoint,
    Global,
    KeyType,
    Reference,
    Shard,
    Sharded,
    ShardId,
    ShardMap,
    TableName,
    Unsharded,
)

TABLES = {
    "public.orders": Sharded("tenant_id"),
    "public.lines": Sharded("tenant_id"),
    "public.countries": Reference(),
    "public.plans": Global(),
    "sales.deals": Sharded("company"),
}


def endpoint(name, database="d"):
    return Endpoint(name=name, host="localhost", port=5432, database=database, user="u")


def sharded(tables=TABLES, *, shards=2):
    names = [ShardId(f"shard_{number}") for number in range(shards)]
    return ShardMap(
        cluster_id="c",
        epoch=1,
        key_type=KeyType.INTEGER,
        shards={name: Shard(name, endpoint(name, name)) for name in names},
        catalog=endpoint("catalog"),
        catalog_replicas=(),
        slots=(names[0],) * 4096,
        tables={TableName(name): placement for name, placement in tables.items()},
    )


def single():
    """The map of one database that is catalog and shard at once."""
    name = ShardId("shard_0")
    return ShardMap(
        cluster_id="c",
        epoch=1,
        key_type=KeyType.INTEGER,
        shards={name: Shard(name, endpoint(name))},
        catalog=endpoint("catalog"),
        catalog_replicas=(),
        slots=(name,) * 4096,
        default_placement=Unsharded(),
    )


def migrations(**files):
    """`migrations(_1_a="…", _1_a__down="…")`."""
    return read_migrations(
        {
            f"{name.removeprefix('_').replace('__up', '.up').replace('__down', '.down')}.sql":
            text.encode()
            for name, text in files.items()
        }
    )  # fmt: skip


def routed(sql, a_map=None):
    """The statements of one file with their places."""
    ups, _ = route_all(a_map or sharded(), migrations(_1_a=sql))
    return ups[1]


def lint_of(sql, a_map=None, *, after="", allow=()):
    """The codes that the lint finds in a file, with their lines; `after`: what an earlier file did."""
    a_map = a_map or sharded()
    files = migrations(_1_before=after or "select 1", _2_a=sql)
    ups, _ = route_all(a_map, files)
    found = lint([ups[2]], a_map, allow=allow, batch=False)
    return [(finding.code, finding.line) for finding in found]


def entry(migration, state=State.APPLIED, *, done=(), steps=1, **changes):
    """One row of a ledger."""
    values = {
        "version": migration.version,
        "name": migration.name,
        "checksum": migration.up.checksum,
        "state": state,
        "steps": steps,
        "done": tuple(done),
        "running": None,
        "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "finished_at": None,
        "duration_s": None,
        "by": "me",
    }
    return Entry(**{**values, **changes})


class Plans:
    """Plans for files against ledgers."""

    entry = staticmethod(entry)

    def __init__(self, **files):
        self.migrations = migrations(**files)
        self.map = sharded()
        self.databases = databases_of(self.map)
        self.ups, self.downs = route_all(self.map, self.migrations)
        self.ledgers = {database.name: {} for database in self.databases}

    def applied(self, *databases, version, **changes):
        """Note that these databases have the version."""
        migration = next(one for one in self.migrations if one.version == version)
        for name in databases or self.ledgers:
            self.ledgers[name][version] = entry(migration, **changes)

    def up(self, to=None):
        works = plan_up(self.migrations, self.ups, self.ledgers, self.databases, to)
        return [(work.migration.version, str(work.database.name)) for work in works]

    def works(self):
        return plan_up(self.migrations, self.ups, self.ledgers, self.databases, None)

    def down(self, count=1):
        works = plan_down(self.migrations, self.downs, self.ledgers, self.databases, count)
        return [(work.migration.version, str(work.database.name)) for work in works]


@pytest.fixture
def world():
    return SimpleNamespace(
        sharded=sharded,
        single=single,
        migrations=migrations,
        routed=routed,
        lint_of=lint_of,
        plans=Plans,
    )


@pytest.fixture(scope="session")
def world_of_two():
    return sharded()
