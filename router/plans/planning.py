"""The pipeline as far as nothing waits: analyse a statement, plan it, and explain the plan."""

import hashlib
from collections.abc import Callable

from router.analysis.analyses import Analyses
from router.analysis.query import Query
from router.analysis.scoping import Setting
from router.context import QueryContext
from router.errors import RouterError
from router.plans.explain import Explanation, explanation, refused
from router.plans.plan import PULL_UP_LIMITS, Plan, PullUpLimits
from router.plans.planner import plan
from router.schema import Schema
from router.statement import Statement
from shardmap import ShardMap


class Planning:
    """Says where statements go, by the map and the schema of the moment.

    `shard_map` and `schema` are asked once per request, so no request sees half of two maps.
    """

    def __init__(
        self,
        shard_map: Callable[[], ShardMap],
        schema: Callable[[], Schema],
        pull_up: PullUpLimits = PULL_UP_LIMITS,
    ) -> None:
        self._map = shard_map
        self._schema = schema
        self._limits = pull_up
        self._analyses = Analyses()
        self._seen: tuple[ShardMap, Schema, Setting] | None = None

    def plan(self, statement: Statement, context: QueryContext) -> Plan:
        """What `answer` would do, without doing it."""
        shard_map = self._map()
        query = self._query(statement, context, shard_map)
        return plan(query, statement, context, shard_map, self._limits)

    def explain(self, statement: Statement, context: QueryContext) -> Explanation:
        """What `answer` would do and why; a refusal is an explanation like any other."""
        shard_map = self._map()
        try:
            query = self._query(statement, context, shard_map)
            route = plan(query, statement, context, shard_map, self._limits)
        except RouterError as refusal:
            return refused(refusal, shard_map)
        return explanation(query, route, statement, context, shard_map)

    @property
    def analyses(self) -> Analyses:
        """The cache of analyses, for its hit rate."""
        return self._analyses

    def _query(self, statement: Statement, context: QueryContext, shard_map: ShardMap) -> Query:
        return self._analyses.query(statement, context, self._setting(shard_map))

    def _setting(self, shard_map: ShardMap) -> Setting:
        """What analysis depends on of this map: its placements, not its slots, pins and shards."""
        schema = self._schema()
        if self._seen is not None and self._seen[0] is shard_map and self._seen[1] is schema:
            return self._seen[2]
        version = f"{schema.version} {_version(shard_map)}"
        setting = Setting(
            schema, shard_map.placement, shard_map.key_type, version, shard_map.undivided
        )
        self._seen = (shard_map, schema, setting)
        return setting


def _version(shard_map: ShardMap) -> str:
    placements = sorted((name, repr(place)) for name, place in shard_map.tables.items())
    text = repr((placements, shard_map.default_placement, shard_map.key_type, shard_map.undivided))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
