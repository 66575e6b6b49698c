"""In what the databases of a cluster differ, thing by thing. Pure: what each has comes in."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from shardmap import Global, Reference, Sharded, ShardId, ShardMap, TableName

CONTENT: Final = files("server.migrate").joinpath("drift.sql").read_text()
"""Gives kind, name, relation (or null) and definition of everything that migrations make."""
SHOWN_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Thing:
    """One table, column, constraint, index, function … of one database."""

    kind: str
    name: str
    relation: str | None
    definition: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same everywhere. `versions`: its definitions, with who has which.

    None as definition: it is not there.
    """

    kind: str
    name: str
    versions: tuple[tuple[str | None, tuple[ShardId, ...]], ...]

    def __str__(self) -> str:
        shown = "; ".join(
            f"{_shown(definition)} on {', '.join(shards)}" for definition, shards in self.versions
        )
        return f"{self.kind} {self.name}: {shown}"

    def document(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "kind": self.kind,
            "name": self.name,
            "versions": [
                {"definition": definition, "on": list(shards)}
                for definition, shards in self.versions
            ],
        }


def differences(
    contents: Mapping[ShardId, Iterable[Thing]], shard_map: ShardMap
) -> tuple[Difference, ...]:
    """What is not the same on all of these shards, in order of name.

    Relations of global tables are left out: only the catalog's counts. What is missing with its
    whole table is told once, by the table.
    """
    found: dict[tuple[str, str], dict[ShardId, Thing]] = {}
    for shard, things in contents.items():
        for thing in things:
            if thing.relation is None or not _is_global(thing.relation, shard_map):
                found.setdefault((thing.name, thing.kind), {})[shard] = thing
    partial = {
        name
        for (name, kind), by_shard in found.items()
        if kind in {"table", "view"} and len(by_shard) < len(contents)
    }
    return tuple(
        difference
        for (name, kind), by_shard in sorted(found.items())
        if (difference := _difference(kind, name, by_shard, tuple(contents))) is not None
        and not (kind not in {"table", "view"} and _relation(by_shard) in partial)
    )


def broken(contents: Mapping[ShardId, Iterable[Thing]]) -> Iterator[str]:
    """Indexes that are there and of no use: a build has failed."""
    for shard, things in contents.items():
        for thing in things:
            if thing.kind == "index" and thing.definition.endswith(" INVALID"):
                yield f"index {thing.name} on {shard} is INVALID: its build failed"


def misplaced(contents: Mapping[ShardId, Iterable[Thing]], shard_map: ShardMap, catalog: ShardId) -> Iterator[str]:  # fmt: skip
    """Tables that the shard map places where they are not."""
    tables = {
        shard: {thing.name for thing in things if thing.kind in {"table", "view"}}
        for shard, things in contents.items()
    }
    for table, placement in sorted(shard_map.tables.items()):
        match placement:
            case Global():
                wanted: tuple[ShardId, ...] = (catalog,)
            case Sharded() | Reference():
                wanted = tuple(shard_map.shards)
            case _:
                continue
        missing = [shard for shard in wanted if table not in tables.get(shard, set())]
        if missing:
            yield f"table {table} is in the shard map, and not on {', '.join(missing)}"


def _is_global(relation: str, shard_map: ShardMap) -> bool:
    return isinstance(shard_map.placement(TableName(relation)), Global)


def _relation(by_shard: Mapping[ShardId, Thing]) -> str | None:
    return next(iter(by_shard.values())).relation


def _difference(
    kind: str, name: str, by_shard: Mapping[ShardId, Thing], shards: tuple[ShardId, ...]
) -> Difference | None:
    versions: dict[str | None, list[ShardId]] = {}
    for shard in shards:
        thing = by_shard.get(shard)
        versions.setdefault(None if thing is None else thing.definition, []).append(shard)
    if len(versions) == 1:
        return None
    most_first = sorted(versions.items(), key=lambda version: -len(version[1]))
    return Difference(kind, name, tuple((what, tuple(names)) for what, names in most_first))


def _shown(definition: str | None) -> str:
    if definition is None:
        return "missing"
    text = " ".join(definition.split())
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
