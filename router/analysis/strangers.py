"""Statements about all tenants leave out rows of those that are not at home on the shard.

While a tenant moves its rows are on two shards. Which of them count is said by each shard's own
fences, in the snapshot in which the rows are seen (`fluxshard.away`, catalogue/fences.sql): a
predicate on every mention of a sharded table. Its argument says which versions of all shards'
fences make one picture, in which each tenant has one home; a shard that has another refuses.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from router.analysis.scopes import Use, quoted
from router.analysis.tables import Located
from router.errors import UnsupportedAcrossShards
from router.fences import NONE, Fences
from router.rewrite.pull_up import ROW, Fetch
from router.rewrite.splice import Edit
from router.rewrite.tenant import predicate_edits
from shardmap import ShardMap, TableName

_NOT_AWAY: Final = "{}::text <> ALL ((SELECT fluxshard.away({}::text::jsonb))::text[])"
"""The sub-select is evaluated once for a statement, not for each row."""


def home_edits(tables: Iterable[Located], param: int) -> Iterator[Edit]:
    """Edits that leave, of the statement's sharded tables, only rows of tenants that are at home.

    `param` is the position of the versions among the arguments, counted from 0.

    Raises:
        UnsupportedAcrossShards: A table stands where it cannot be filtered.
    """
    uses = [
        (located.use, located.tenant_column)
        for located in tables
        if located.tenant_column is not None and located.use.use is not Use.INSERT
    ]
    return predicate_edits(uses, f"${param + 1}", _NOT_AWAY)


def at_home(
    fetches: tuple[Fetch, ...], columns: dict[TableName, str], number: int
) -> tuple[Fetch, ...]:
    """The same for the rows that shards send to one of them; argument `$number` are the versions."""
    return tuple(_at_home(fetch, columns[fetch.table], number) for fetch in fetches)


def _at_home(fetch: Fetch, column: str, number: int) -> Fetch:
    source = f"FROM {fetch.relation} AS {ROW}"
    before, found, behind = fetch.sql.partition(source)
    if not found:
        raise UnsupportedAcrossShards(f"table {fetch.table} while a tenant moves")
    # OFFSET keeps the planner from asking for each row.
    home = (
        f' JOIN (SELECT fluxshard.away(${number}::text::jsonb) AS "tenants" OFFSET 0) AS "away"'
        f' ON {ROW}.{quoted(column)}::text <> ALL ("away"."tenants")'
    )
    return replace(fetch, sql=f"{before}{source}{home}{behind}")


def versions_of(fences: Fences, shard_map: ShardMap) -> str:
    """The versions of all shards' fences, as `fluxshard.away` takes them."""
    return json.dumps({shard: fences.get(shard, NONE).version for shard in shard_map.shards})
