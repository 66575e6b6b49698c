"""Reads what people are told of tables, from the first shard that can be read and the catalog."""

import asyncio
from collections.abc import Sequence
from typing import Any

from router.backend_settings import BackendSettings
from router.catalogue.documented import DOCUMENTATION, Documentation, read_documentation
from router.context import Deadline
from router.errors import RouterError
from router.live.failures import DRIVER_ERRORS, Scene, translated
from router.live.live_map import LiveMap
from router.live.preamble import LOGIN
from router.live.shards import ShardEndpoints
from shardmap import CATALOG, Global


class Documenting:
    """Asks for comments, defaults and privileges; remembers nothing."""

    def __init__(self, live: LiveMap, settings: BackendSettings) -> None:
        self._live = live
        self._settings = settings

    async def read(self, role: str, deadline: Deadline) -> Documentation:
        """What the role is told: of the first shard that can be read, global tables of the catalog.

        Raises:
            ShardUnavailable: No shard, or not the catalog, can be read now.
            DeadlineExceeded: The time ran out.
        """
        shard_map, groups = self._live.shard_map, self._live.groups
        found = await self._first([groups[name] for name in shard_map.shards], role, deadline)
        of_catalog = {
            (schema, relation)
            for name, placement in shard_map.tables.items()
            if isinstance(placement, Global)
            for schema, _, relation in (name.partition("."),)
        }
        if not of_catalog:
            return found
        return found.with_relations_of(
            await self._read(groups[CATALOG], role, deadline), of_catalog
        )

    async def _first(
        self, groups: Sequence[ShardEndpoints], role: str, deadline: Deadline
    ) -> Documentation:
        failure: RouterError | None = None
        for group in groups:
            try:
                return await self._read(group, role, deadline)
            except RouterError as error:  # all shards have the same tables
                failure = failure or error
        if failure is None:
            raise ValueError("a shard map has at least one shard")
        raise failure

    async def _read(self, group: ShardEndpoints, role: str, deadline: Deadline) -> Documentation:
        live = group.primary() or await group.reader(None, deadline)
        held = await live.pool.acquire(
            LOGIN, min(self._settings.acquire_timeout_s, deadline.remaining_s())
        )
        put_back = live.pool.discard
        try:
            exposed = list(self._settings.exposed_schemas)
            rows, _ = await held.fetch(DOCUMENTATION, (exposed, role), deadline.remaining_s())
            put_back = live.pool.give_back
        except DRIVER_ERRORS as error:
            scene = Scene(
                group.shard,
                live.name,
                read=True,
                closed=held.closed,
                expired=deadline.remaining_s() <= 0,
            )
            raise translated(error, scene) from error
        finally:
            put_back(held)
        return await asyncio.to_thread(_documentation, role, rows)


def _documentation(role: str, rows: Sequence[Any]) -> Documentation:
    return read_documentation(role, dict(rows[0]))
