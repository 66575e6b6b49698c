"""The schema as last read from every shard and the catalog; read anew beside it, then swapped.

Nobody waits for a reading: what it takes of Python's time is spent in a thread, and requests are
answered by the schema of before until the new one is whole. Names that are new are given out when
the replicas have them, too.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from router.analysis.functions import SAFE_MARK, Function
from router.backend_settings import BackendSettings
from router.catalogue.agreement import agreed
from router.catalogue.introspection import (
    AWARENESS,
    FUNCTIONS,
    INTROSPECTION,
    ROUTINES,
    common,
    merged,
    read_functions,
    read_routines,
    read_tables,
    worst,
)
from router.context import Deadline
from router.errors import RouterError, SchemaUnread, ShardDown
from router.live.failures import DRIVER_ERRORS, Scene, translated
from router.live.live_map import LiveMap
from router.live.preamble import LOGIN
from router.live.shards import ShardEndpoints
from router.observe import Observer, SchemaAdopted
from router.routines import Routine
from router.schema import Schema, Table
from router.tasks import TaskOwner
from shardmap import CATALOG, Reference, Sharded, ShardId, ShardMap, TableName

READ_TIMEOUT_S: Final = 15.0
"""For one reading: catalogs of some thousand tables take a second."""
LEAST_INTERVAL_S: Final = 1.0
"""A table that does not exist must not make clients read the catalogs at every request."""
FIRST_RETRY_S: Final = 0.25
REPLAY_WAIT_S: Final = 2.0
"""How long a new schema waits for replicas to have it; one that is further behind is seldom asked."""
REPLAY_PAUSE_S: Final = 0.02
FIRST_READING_S: Final = 2.0
"""How long opening waits for the first reading, so that the first clients meet the tables."""


class Holdings(NamedTuple):
    """What one database holds."""

    tables: tuple[Table, ...]
    functions: tuple[Function, ...]
    routines: tuple[Routine, ...]
    aware: bool = False
    """See `Schema.aware`."""


class KnownSchema:
    """Keeps the schema current: on a timer, and on demand when a statement met an unknown name."""

    def __init__(
        self, live: LiveMap, settings: BackendSettings, owner: TaskOwner, observe: Observer
    ) -> None:
        self._live = live
        self._settings = settings
        self._exposed = settings.exposed_schemas
        self._preparing: tuple[Callable[[Schema], None], ...] = ()
        self._owner = owner
        self._observe = observe
        self._schema: Schema | None = None
        self._held: dict[ShardId, Holdings] = {}
        """What each shard, and the catalog, held when it was last read: it stays that while they are away."""
        self._began_at = float("-inf")
        self._awaited: asyncio.Future[None] | None = None
        """Done after the next reading that begins."""
        self._wanted = asyncio.Event()
        self._trouble: RouterError | None = None

    async def open(self) -> None:
        """Start reading, now and from time to time; the first reading is waited for, not for long."""
        first = self._awaited = asyncio.get_running_loop().create_future()
        self._owner.start(self._keep(), name="keep the schema")
        await asyncio.wait((first,), timeout=FIRST_READING_S)

    def current(self) -> Schema:
        """The schema as last read.

        Raises:
            SchemaUnread: It could not be read yet.
        """
        if self._schema is None:
            trouble = f": {self._trouble.message}" if self._trouble is not None else ""
            raise SchemaUnread(CATALOG, f"the schema has not been read yet{trouble}")
        return self._schema

    async def refresh(self, *, now: bool) -> Schema:
        """The schema, read anew unless that was done within the last second.

        `now` insists on a reading that begins after this call, which may have to wait for that
        second to pass. Everybody who waits shares one reading.

        Raises:
            ShardDown: Nobody can be asked.
        """
        if not now and time.monotonic() - self._began_at < LEAST_INTERVAL_S:
            return self.current()
        if self._awaited is None:
            self._awaited = asyncio.get_running_loop().create_future()
        self._wanted.set()
        await asyncio.shield(self._awaited)
        if self._trouble is not None:
            raise ShardDown(CATALOG, self._trouble.message) from self._trouble
        return self.current()

    def prepare_with(self, preparing: Sequence[Callable[[Schema], None]]) -> None:
        """Call these with each new schema, in a thread, before it is given out.

        What is worked out of all tables would otherwise stop the event loop at the first request.
        """
        self._preparing = tuple(preparing)

    def expose(self, schemas: tuple[str, ...]) -> None:
        """Let clients use these schemas, once they are read."""
        self._exposed = schemas
        self._wanted.set()

    def refresh_later(self) -> None:
        """Read it anew soon: a statement met a name that is not there."""
        self._wanted.set()

    async def _keep(self) -> None:
        try:
            while True:
                self._wanted.clear()
                awaited, self._awaited = self._awaited, None
                try:
                    await self._read()
                    self._trouble = None
                except RouterError as error:
                    self._trouble = error
                if awaited is not None and not awaited.done():
                    awaited.set_result(None)
                await asyncio.sleep(LEAST_INTERVAL_S if self._trouble is None else FIRST_RETRY_S)
                if self._complete and self._trouble is None:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._settings.schema_refresh_s):
                            await self._wanted.wait()
        finally:
            if self._awaited is not None:
                self._awaited.cancel()

    @property
    def _complete(self) -> bool:
        return self._schema is not None and not self._schema.unread

    async def _read(self) -> None:
        self._began_at = time.monotonic()
        exposed = self._exposed
        shard_map, groups = self._live.shard_map, self._live.groups
        catalog = groups[CATALOG]
        shared = next(
            (
                name
                for name in shard_map.shards
                if not {*groups[name].members}.isdisjoint(catalog.members)
            ),
            None,
        )
        wanted = [groups[name] for name in shard_map.shards]
        failures = await self._hold(wanted if shared is not None else [*wanted, catalog], exposed)
        held = {name: self._held[name] for name in shard_map.shards if name in self._held}
        if all(name in failures for name in shard_map.shards):
            raise next(iter(failures.values()))
        of_catalog = self._held.get(shared or CATALOG)
        schema = await asyncio.to_thread(self._merged, shard_map, held, of_catalog, exposed)
        if self._schema is None or schema.version != self._schema.version:
            if self._schema is not None:
                await self._replayed(list(groups.values()))
            for prepare in self._preparing:
                await asyncio.to_thread(prepare, schema)
            self._schema = schema
            self._observe(SchemaAdopted(schema.version, len(schema.tables)))

    def _merged(
        self,
        shard_map: ShardMap,
        held: Mapping[ShardId, Holdings],
        catalog: Holdings | None,
        exposed: tuple[str, ...],
    ) -> Schema:
        def everywhere(name: TableName) -> bool:
            return isinstance(shard_map.placement(name), Sharded | Reference)

        agreement = agreed({shard: one.tables for shard, one in held.items()}, everywhere)
        functions = [function for one in held.values() for function in one.functions]
        return merged(
            agreement.tables,
            catalog.tables if catalog is not None else None,
            shard_map,
            exposed,
            worst((*functions, *(catalog.functions if catalog is not None else ()))),
            differing=agreement.differing,
            routines=common([one.routines for one in held.values()]),
            aware=any(one.aware for one in held.values()),
        )

    async def _hold(
        self, groups: Sequence[ShardEndpoints], exposed: Sequence[str]
    ) -> Mapping[ShardId, RouterError]:
        """Read these databases at once; those that cannot be read stay what they were."""
        failures: dict[ShardId, RouterError] = {}

        async def hold(group: ShardEndpoints) -> None:
            try:
                rows = await self._rows(group, list(exposed))
            except RouterError as error:  # the other shards' tenants need not wait for this one
                failures[group.shard] = error
            else:
                self._held[group.shard] = await asyncio.to_thread(_holdings, *rows)

        async with asyncio.TaskGroup() as tasks:
            for group in groups:
                tasks.create_task(hold(group))
        return failures

    async def _replayed(self, groups: Sequence[ShardEndpoints]) -> None:
        """Wait until replicas have what their primaries have now, though not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REPLAY_WAIT_S):
                for group in groups:
                    await self._replayed_by(group)

    @staticmethod
    async def _replayed_by(group: ShardEndpoints) -> None:
        primary = group.primary()
        if primary is None:
            return
        await primary.monitor.ask()
        position = primary.standing.lsn
        while behind := [
            member
            for member in group.members
            if member.standing.alive
            and member.standing.in_recovery
            and member.standing.lsn < position
        ]:
            await asyncio.wait([member.monitor.ask() for member in behind])
            await asyncio.sleep(REPLAY_PAUSE_S)

    async def _rows(self, group: ShardEndpoints, exposed: list[str]) -> tuple[Sequence[Any], ...]:
        """Tables and functions as the primary has them; without one, as a replica does."""
        deadline = Deadline.after(READ_TIMEOUT_S)
        live = group.primary() or await group.reader(None, deadline)
        timeout_s = min(self._settings.acquire_timeout_s, READ_TIMEOUT_S)
        held = await live.pool.acquire(LOGIN, timeout_s)
        put_back = live.pool.discard
        try:
            tables, _ = await held.fetch(INTROSPECTION, (exposed,), deadline.remaining_s())
            functions, _ = await held.fetch(FUNCTIONS, (SAFE_MARK,), deadline.remaining_s())
            routines, _ = await held.fetch(ROUTINES, (exposed,), deadline.remaining_s())
            aware, _ = await held.fetch(AWARENESS, (), deadline.remaining_s())
            put_back = live.pool.give_back
        except DRIVER_ERRORS as error:
            scene = Scene(group.shard, live.name, read=True, closed=held.closed, expired=False)
            raise translated(error, scene) from error
        else:
            return tables, functions, routines, aware
        finally:
            put_back(held)


def _holdings(
    tables: Sequence[Any], functions: Sequence[Any], routines: Sequence[Any], aware: Sequence[Any]
) -> Holdings:
    return Holdings(
        read_tables(map(dict, tables)),
        read_functions(map(dict, functions)),
        read_routines(map(dict, routines)),
        aware[0]["aware"],
    )
