"""Where each statement of a migration runs, by what the shard map says of its tables.

A statement runs where its tables are: sharded and reference tables on every shard, global ones in
the catalog. One that names no known relation (a function, a type, DO, an extension) runs in every
database. `only:` at the top of a file decides for all of its statements instead. What is created is
remembered, so that a later statement about an index, a view or a sequence finds its place.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

from server.migrate.alterations import Added, Renamed, actions_of
from server.migrate.cursor import Cursor
from server.migrate.deeds import Deed, deed_of
from server.migrate.definitions import Column, Part, parts_of
from server.migrate.files import Migration, Script
from server.migrate.places import ALL, CATALOG_ONLY, SHARDS_ONLY, Database, Places
from server.migrate.scan import Statement
from shardmap import Global, Placement, ShardMap, TableName


@dataclass(frozen=True, slots=True)
class Routed:
    """One statement, what it does and where. `unplaced`: its table that the map does not list.

    `scattered`: the relations it names, that are never together in one database.
    """

    statement: Statement
    deed: Deed
    places: Places
    unplaced: str | None = None
    scattered: tuple[str, ...] = ()

    def runs_in(self, database: Database) -> bool:
        """Whether the database is one of its places."""
        return bool(self.places & database.places)


@dataclass(frozen=True, slots=True)
class RoutedScript:
    """One file with its statements' places."""

    script: Script
    statements: tuple[Routed, ...]


class Atlas:
    """Where relations are: by the map, and by the statements that were routed so far."""

    def __init__(self, shard_map: ShardMap) -> None:
        self._map = shard_map
        self._homes: dict[str, Places] = {}

    def route(self, script: Script) -> RoutedScript:
        """The file's statements with their places; what they create is remembered."""
        only = script.directives.only
        routed = []
        for statement in script.statements:
            deed = deed_of(statement)
            one = (
                Routed(statement, deed, only) if only is not None else self._routed(statement, deed)
            )
            self._remember(one)
            routed.append(one)
        return RoutedScript(script, tuple(routed))

    def placement(self, table: str) -> Placement | None:
        """What the map says of a table."""
        return self._map.placement(TableName(table))

    def _routed(self, statement: Statement, deed: Deed) -> Routed:
        if deed.kind == "create table" and deed.targets:
            home = self._home(deed.targets[0])
            if home is None:
                return Routed(statement, deed, ALL, unplaced=deed.targets[0])
            return Routed(statement, deed, home)
        renamed = _new_name(deed)
        if renamed is not None and self._home(renamed) is None:
            home = self._home(deed.targets[0])
            if home is not None and self.placement(deed.targets[0]) is not None:
                return Routed(statement, deed, home, unplaced=renamed)
        named = {name: home for name in deed.targets if (home := self._home(name)) is not None}
        read = {name: home for name in deed.mentions if (home := self._home(name)) is not None}
        if named:
            places = _together(named.values())
            if len(set(named.values())) > 1 or not all(places <= home for home in read.values()):
                return Routed(statement, deed, ALL, scattered=(*sorted(named), *sorted(read)))
            return Routed(statement, deed, places)
        places = _together(read.values())
        if not places and deed.kind in {"create function", "create procedure"}:
            return Routed(statement, deed, ALL)  # its body is not run where it is made
        if not places:
            return Routed(statement, deed, ALL, scattered=tuple(sorted(read)))
        return Routed(statement, deed, places)

    def _home(self, name: str) -> Places | None:
        known = self._homes.get(name)
        if known is not None:
            return known
        placement = self.placement(name)
        if placement is None:
            return None
        return CATALOG_ONLY if isinstance(placement, Global) else SHARDS_ONLY

    def _remember(self, routed: Routed) -> None:
        created = routed.deed.creates or _new_name(routed.deed)
        if created is not None:
            self._homes[created] = routed.places
        for sequence in _sequences(routed.deed):
            self._homes[sequence] = routed.places


def route_all(
    shard_map: ShardMap, migrations: Iterable[Migration]
) -> tuple[dict[int, RoutedScript], dict[int, RoutedScript]]:
    """The up files and the down files by version, routed in order."""
    atlas = Atlas(shard_map)
    migrations = tuple(migrations)
    ups = {one.version: atlas.route(one.up) for one in migrations}
    downs = {
        one.version: atlas.route(one.down) for one in reversed(migrations) if one.down is not None
    }
    return ups, downs


def _together(homes: Iterable[Places]) -> Places:
    return reduce(lambda one, other: one & other, homes, ALL)


def _sequences(deed: Deed) -> Iterator[str]:
    """The sequences that serial and identity columns bring along, by the names they get."""
    table = deed.creates or next(iter(deed.targets), None)
    if table is None:
        return
    if deed.kind == "create table":
        parts: Iterable[Part] = parts_of(Cursor(deed.body))
    elif deed.kind == "alter table":
        parts = [
            part
            for _, action in actions_of(deed.body)
            if isinstance(action, Added)
            for part in action.parts
        ]
    else:
        return
    for part in parts:
        if isinstance(part, Column) and part.counted:
            yield f"{table}_{part.name}_seq"


def _new_name(deed: Deed) -> str | None:
    if deed.kind not in {"alter table", "alter view", "alter index", "alter sequence"}:
        return None
    if not deed.targets:
        return None
    schema, _, relation = deed.targets[0].partition(".")
    for _, action in actions_of(deed.body):
        match action:
            case Renamed("table", _, to):
                return f"{schema}.{to}"
            case Renamed("schema", _, to):
                return f"{to}.{relation}"
    return None
