"""Plans without servers: by a planned map, and the tables as SQL says, or as they are assumed."""

import json
from typing import Any, Final

from router import Planning, assumed_schema, declared_schema
from shardmap import KeyType, ShardMap, read_document, read_map

_SIMPLE: Final = ("reference", "global", "unsharded")
DEFAULT_SCHEMA: Final = "public"


def map_of(shards: int, tables: str, key_type: KeyType) -> ShardMap:
    """A map of so many shards whose slots the ring deals out, as a new cluster has them.

    `tables` is a JSON object: a table's name to `{"sharded": column}`, `"reference"`, `"global"`
    or, with one shard, `"unsharded"`. Names without a schema are of `public`.

    Raises:
        ValueError: `tables` is no JSON object.
        InvalidMap: With every problem of the tables.
    """
    listed = json.loads(tables)
    if not isinstance(listed, dict):
        raise ValueError("is no JSON object of tables")  # noqa: TRY004 - of what it says
    server = {"host": "offline", "database": "offline", "user": "offline"}
    return read_document(
        {
            "version": 1,
            "cluster_id": "offline",
            "tenant_key": {"type": key_type.value},
            "catalog": {"primary": {**server, "database": "catalog"}},
            "shards": {
                f"shard_{number}": {"primary": {**server, "database": f"shard_{number}"}}
                for number in range(shards)
            },
            "tables": {_full(name): _placement(given) for name, given in listed.items()},
        }
    )


def offline_planning(shard_map: ShardMap, declarations: str | None) -> Planning:
    """Plans and explains, and answers nothing.

    Raises:
        DeclarationNotUnderstood: The declarations cannot be read.
    """
    schema = (
        assumed_schema(shard_map.tables) if declarations is None else declared_schema(declarations)
    )
    return Planning(lambda: shard_map, lambda: schema)


def planned_map(text: str) -> ShardMap:
    """The map of a document that need not be in force anywhere.

    Raises:
        InvalidMap: With every problem.
    """
    return read_map(text)


def _full(name: str) -> str:
    return name if "." in name else f"{DEFAULT_SCHEMA}.{name}"


def _placement(given: Any) -> Any:
    """`{"reference": true}` is `"reference"`; whatever else is read as a map's own."""
    if isinstance(given, dict) and len(given) == 1:
        ((word, meant),) = given.items()
        if word in _SIMPLE and meant is True:
            return word
    return given
