"""The pipeline as far as nothing waits: analyse a statement, plan it, and explain the plan."""

import hashlib
from collections.abc import Callable

from router.analysis.analyses import Analyses
from router.analysis.query import Query
from router.analysis.scoping import Setting
from router.context import QueryContext
from router.errors import QueryRefused, RouterError
from router.fences import NO_FENCES, Fences, strange, unsettled
from router.move_errors import MoveUnderWay, UnitHeld, UnitMoved
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
        fences: Callable[[], Fences] = lambda: NO_FENCES,
    ) -> None:
        self._map = shard_map
        self._schema = schema
        self._limits = pull_up
        self._fences = fences
        self._settled: tuple[Fences, ShardMap, bool] | None = None
        """Fences and map in which every tenant has one home, and whether rows must be left out."""
        self._analyses = Analyses()
        self._seen: tuple[ShardMap, Schema, Setting] | None = None

    def plan(self, statement: Statement, context: QueryContext) -> Plan:
        """What `answer` would do, without doing it."""
        shard_map, fences = self._picture(context)
        query = self._query(statement, context, shard_map, fences)
        return plan(query, statement, context, shard_map, self._limits, fences)

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

    def _picture(self, context: QueryContext) -> tuple[ShardMap, Fences]:
        """The map, and the shards' fences for who asks about all tenants: asked once per request."""
        return self._map(), NO_FENCES if context.tenant is not None else self._fences()

    def _query(
        self,
        statement: Statement,
        context: QueryContext,
        shard_map: ShardMap,
        fences: Fences = NO_FENCES,
    ) -> Query:
        setting = self._setting(shard_map)
        if not (fences and self._leaving_out(fences, shard_map)):
            return self._analyses.query(statement, context, setting)
        try:
            return self._analyses.query(statement, context, setting, leaving_out=True)
        except QueryRefused as refusal:
            self._analyses.query(statement, context, setting)  # unless it always is
            raise MoveUnderWay(
                next(shard for shard, known in fences.items() if known.strangers),
                f"a tenant is on the move, and {refusal.message}",
            ) from refusal

    def _leaving_out(self, fences: Fences, shard_map: ShardMap) -> bool:
        """Whether rows of tenants on the move have to be left out.

        Raises:
            UnitRefused: What is known does not say where one of them is at home.
        """
        settled = self._settled
        if settled is not None and settled[0] is fences and settled[1] is shard_map:
            return settled[2]
        found = strange(fences)
        open_question = unsettled(fences, shard_map) if found else None
        if open_question is not None:
            shard, fence, moving = open_question
            refused = UnitHeld if moving else UnitMoved
            raise refused(shard, f"unit {fence.unit} has left shard {shard}", fence, probed=True)
        self._settled = fences, shard_map, found
        return found

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
