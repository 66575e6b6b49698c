"""The pipeline: analyse, plan, gather, combine. One request of one caller in, one answer out."""

import hashlib
from collections.abc import Callable

from router.analyses import Analyses
from router.backends import Backends
from router.combine import combine
from router.context import QueryContext
from router.errors import RouterError
from router.explain import Explanation, explanation, refused
from router.gather import gather
from router.plan import Plan
from router.planner import plan
from router.query import Query
from router.schema import Schema
from router.scoping import Setting
from router.statement import Result, Statement
from router.stream import Stream, stream
from shardmap import ShardMap


class Router:
    """Answers statements from the shards as one PostgreSQL would, or refuses by name.

    `shard_map` and `schema` are asked once per request, so no request sees half of two maps.
    """

    def __init__(
        self,
        backends: Backends,
        shard_map: Callable[[], ShardMap],
        schema: Callable[[], Schema],
    ) -> None:
        self._backends = backends
        self._map = shard_map
        self._schema = schema
        self._analyses = Analyses()
        self._seen: tuple[ShardMap, Schema, Setting] | None = None

    async def answer(self, statement: Statement, context: QueryContext) -> Result:
        """The statement's answer.

        Raises:
            RouterError: Named; `router.errors` says what the caller should do.
        """
        shard_map = self._map()
        query = self._query(statement, context, shard_map)
        route = plan(query, statement, context, shard_map)
        replies = await gather(route, self._backends, context)
        return combine(route, replies, statement.exactly)

    async def stream(
        self, statement: Statement, context: QueryContext, longest_s: float
    ) -> Result | Stream:
        """The statement's answer; in pieces when it is a read of more than `WHOLE_ROWS` rows.

        A stream has to be closed, whatever happens. It may last `longest_s`; the context's
        deadline is for what comes before its first piece, and as long for each piece.

        Raises:
            RouterError: As `answer`; a stream raises them between its pieces, too.
        """
        shard_map = self._map()
        query = self._query(statement, context, shard_map)
        route = plan(query, statement, context, shard_map)
        if statement.exactly is not None:
            replies = await gather(route, self._backends, context)
            return combine(route, replies, statement.exactly)
        return await stream(route, query, self._backends, context, longest_s)

    def plan(self, statement: Statement, context: QueryContext) -> Plan:
        """What `answer` would do, without doing it."""
        shard_map = self._map()
        return plan(self._query(statement, context, shard_map), statement, context, shard_map)

    def explain(self, statement: Statement, context: QueryContext) -> Explanation:
        """What `answer` would do and why; a refusal is an explanation like any other."""
        shard_map = self._map()
        try:
            query = self._query(statement, context, shard_map)
            route = plan(query, statement, context, shard_map)
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
        setting = Setting(schema, shard_map.placement, shard_map.key_type, version)
        self._seen = (shard_map, schema, setting)
        return setting


def _version(shard_map: ShardMap) -> str:
    placements = sorted((name, repr(place)) for name, place in shard_map.tables.items())
    text = repr((placements, shard_map.default_placement, shard_map.key_type))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
