"""Where maps come from: the catalog, which has every epoch, or a file."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from shardmap.connection import Connection, Row, install
from shardmap.document import read_document, read_map
from shardmap.errors import InvalidMap, MapConflict, MapRefused, MapUnavailable, Problem
from shardmap.ids import ShardId
from shardmap.map import ShardMap, Unit
from shardmap.moving import Moving, moving_problems
from shardmap.succession import refuse_moves, rehomed, succeed
from shardmap.writing import canonical_json, content_hash, document_hash, write_document

CHANNEL: Final = "fluxshard_map"
"""Notified with the new epoch whenever a map is applied."""

_EXISTS: Final = "select to_regclass('fluxshard.maps') is not null as present"
_MOVES_EXIST: Final = "select to_regclass('fluxshard.moves') is not null as present"
_MOVING: Final = (
    "select id, state, units, source, target from fluxshard.moves"
    " where not state = any($1) order by id"
)
_ENDED: Final = ["cleaned", "aborted", "rolled_back"]
"""States of moves that need neither of their shards any more: see `server.moves`."""
_COLUMNS: Final = "epoch, document::text as document, content_hash"
_NEWEST: Final = f"select {_COLUMNS} from fluxshard.maps order by epoch desc limit 1"  # noqa: S608 - constants
_NEWER: Final = (
    f"select {_COLUMNS} from fluxshard.maps where epoch > $1 order by epoch desc limit 1"  # noqa: S608 - constants
)
_AT: Final = f"select {_COLUMNS} from fluxshard.maps where epoch = $1"  # noqa: S608 - constants
_HISTORY: Final = """
select epoch, content_hash, parent_hash, author, reason, created_at
from fluxshard.maps order by epoch desc limit $1
"""
_INSERT: Final = """
insert into fluxshard.maps (epoch, document, content_hash, parent_hash, author, reason)
values ($1, $2::text::jsonb, $3, $4, $5, $6)
"""
_LOCK: Final = "lock table fluxshard.maps in share row exclusive mode"


@dataclass(frozen=True, slots=True)
class MapRecord:
    """Who applied an epoch, when and why."""

    epoch: int
    content_hash: str
    parent_hash: str | None
    author: str
    reason: str
    created_at: datetime


class CatalogSource:
    """The maps in the catalog's database, over a connection that somebody else owns.

    What the driver raises passes through; whoever opened the connection translates it.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def newest(self) -> ShardMap | None:
        """The map in force; None when none was ever applied.

        Raises:
            InvalidMap: What is stored is no map of this release, or was changed by hand.
        """
        return await self._one(_NEWEST)

    async def newer_than(self, epoch: int) -> ShardMap | None:
        """The map in force if its epoch is beyond `epoch`. Cheap when it is not.

        Raises:
            InvalidMap: As above.
        """
        return await self._one(_NEWER, epoch)

    async def at(self, epoch: int) -> ShardMap | None:
        """The map of one epoch, or None.

        Raises:
            InvalidMap: As above.
        """
        return await self._one(_AT, epoch)

    async def history(self, limit: int = 1000) -> tuple[MapRecord, ...]:
        """Who applied what, the newest first."""
        if not await self._present():
            return ()
        rows = await self._connection.fetch(_HISTORY, limit)
        return tuple(MapRecord(**dict(row.items())) for row in rows)

    async def newest_held(self) -> ShardMap | None:
        """The map in force, which stays so until the caller's transaction ends.

        Raises:
            InvalidMap: As above.
        """
        if not await self._present():
            return None
        await self._connection.execute(_LOCK)
        return await self.newest()

    async def apply(
        self, new: ShardMap, *, expected_epoch: int, author: str, reason: str
    ) -> ShardMap:
        """Put `new` in force as the map after `expected_epoch` (0: the first), and announce it.

        Returns it with the epochs it got. Compare-and-set: of two that apply at once, one wins.
        What the map in force does not allow is checked in the same transaction.

        Raises:
            MapConflict: Another epoch than the expected one is in force.
            MapRefused: The change needs data to be moved.
        """
        await install(self._connection, "catalog.sql")
        async with self._connection.transaction():
            await self._connection.execute(_LOCK)
            old = await self.newest()
            found = old.epoch if old is not None else 0
            if found != expected_epoch:
                raise MapConflict(expected_epoch, found)
            applied = succeed(old, new)
            if old is not None:
                refuse_moves(old, applied)
                await self._refuse_moving(old, applied)
            await self._put(old, applied, author, reason)
        return applied

    async def apply_move(
        self, epochs: Mapping[Unit, int], home: ShardId, *, author: str, reason: str
    ) -> ShardMap:
        """Put in force that these units are at home on `home` now, at these epochs.

        For movers only: the rows are there, and the shards' fences say so. Whatever else the newest
        map says stays. Safe to repeat: what it says already is not applied again.

        Raises:
            MapUnavailable: There is no map.
            MapRefused: The map has no such shard, or is further than these epochs.
        """
        async with self._connection.transaction():
            await self._connection.execute(_LOCK)
            old = await self.newest()
            if old is None:
                raise MapUnavailable("no map has been applied")
            new = rehomed(old, epochs, home)
            if new == old:
                return old
            new = replace(new, epoch=old.epoch + 1)
            await self._put(old, new, author, reason)
        return new

    async def newest_or_first(
        self, first: Callable[[], ShardMap], *, author: str, reason: str
    ) -> ShardMap:
        """The map in force; where there is none, `first()` becomes it. Safe to race.

        Raises:
            InvalidMap: What is stored is no map of this release.
        """
        found = await self.newest()
        if found is not None:
            return found
        try:
            return await self.apply(first(), expected_epoch=0, author=author, reason=reason)
        except MapConflict:
            found = await self.newest()
            if found is None:
                raise
            return found

    async def _refuse_moving(self, old: ShardMap, new: ShardMap) -> None:
        """Units that a mover is busy with, or has a way back for, change by the mover only.

        Nor does a shard leave that the move has rows on: they could not be brought back from there,
        nor be taken away.
        """
        if not await self._exists(_MOVES_EXIST):
            return
        problems = [
            problem
            for row in await self._connection.fetch(_MOVING, _ENDED)
            for problem in moving_problems(old, new, _moving(row))
        ]
        if problems:
            raise MapRefused(problems)

    async def _exists(self, question: str) -> bool:
        row = await self._connection.fetchrow(question)
        return row is not None and bool(row["present"])

    async def _put(self, old: ShardMap | None, new: ShardMap, author: str, reason: str) -> None:
        await self._connection.fetchrow(
            _INSERT,
            new.epoch,
            canonical_json(write_document(new)),
            content_hash(new),
            content_hash(old) if old is not None else None,
            author,
            reason,
        )
        await self._connection.fetchrow("select pg_notify($1, $2)", CHANNEL, str(new.epoch))

    async def _present(self) -> bool:
        return await self._exists(_EXISTS)

    async def _one(self, query: str, *args: object) -> ShardMap | None:
        if not await self._present():
            return None
        row = await self._connection.fetchrow(query, *args)
        return _stored_map(row) if row is not None else None


def _moving(row: Row) -> Moving:
    ends = (ShardId(row["source"]), ShardId(row["target"]))
    return Moving(row["id"], row["state"], tuple(row["units"]), ends)


def _stored_map(row: Row) -> ShardMap:
    document = json.loads(row["document"])
    shard_map = read_document(document)
    if shard_map.epoch != row["epoch"] or document_hash(document) != row["content_hash"]:
        message = f"the row of epoch {row['epoch']} in fluxshard.maps is not as it was applied"
        raise InvalidMap([Problem("document", message)])
    return shard_map


class FileSource:
    """A map in a file, for work without a catalog."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, previous: ShardMap | None = None) -> ShardMap:
        """The file's map; see `read_map` for what `previous` fills in.

        Raises:
            InvalidMap: With every problem.
            MapUnavailable: The file cannot be read.
        """
        try:
            text = self._path.read_text(encoding="utf-8")
        except OSError as error:
            raise MapUnavailable(f"{self._path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            problem = Problem("document", "is not UTF-8")
            raise InvalidMap([problem]) from error
        return read_map(text, previous)
