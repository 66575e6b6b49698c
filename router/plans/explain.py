"""A plan as plain data, for people, goldens, the command line and the console."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, assert_never

from router.analysis.query import PullUpForm, Query, Reply, SortKey, Target
from router.backends import Access, ShardQuery, Together
from router.context import QueryContext
from router.errors import RouterError
from router.plans.plan import (
    AnyShard,
    Collect,
    EveryShard,
    Merge,
    OneShard,
    Plan,
    PullUp,
    Route,
    Single,
    SomeShards,
    Totals,
    shards_of,
)
from router.plans.planner import concerned
from router.statement import Statement
from shardmap import PinUnit, ShardId, ShardMap, TenantId, slot_of


@dataclass(frozen=True, slots=True)
class Home:
    """Where the map has one tenant, and which of its entries says so."""

    tenant: TenantId
    slot: int
    pinned: bool
    unit_epoch: int
    shard: ShardId


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that is decided about one statement before it runs.

    `tenants` are those whose rows it concerns; none: any tenant's, or no tenant's at all. A
    refused statement has neither plan nor tenants.
    """

    epoch: int
    rule: str
    tenants: tuple[Home, ...] = ()
    plan: Plan | None = None
    origins: tuple[str, ...] = ()
    """Where each argument comes from."""
    last_origins: tuple[str, ...] = ()
    """The same for the statement that one shard runs over what all have sent."""
    refusal: RouterError | None = None

    def summary(self) -> dict[str, Any]:
        """The decision: a row of a report on many statements."""
        plan = self.plan
        if plan is None:
            return {
                "access": "refused",
                "route": None,
                "shards": [],
                "tenant_keys": [],
                "combine": None,
                "refusal": _refusal(self.refusal),
            }
        return {
            "access": plan.query.access.name.lower(),
            "route": _kind(plan.route),
            "shards": list(shards_of(plan.route)),
            "tenant_keys": [home.tenant for home in self.tenants],
            "combine": _combine(plan),
            "refusal": None,
        }

    def document(self) -> dict[str, Any]:
        """The decision with its reasons, and what each shard runs."""
        found = self.summary()
        found["rule"] = self.rule
        found["map_epoch"] = self.epoch
        found["tenants"] = [
            {
                "tenant": home.tenant,
                "slot": home.slot,
                "unit": "pin" if home.pinned else "slot",
                "unit_epoch": home.unit_epoch,
                "shard": home.shard,
            }
            for home in self.tenants
        ]
        if self.plan is not None:
            found["reply"] = _reply(self.plan.reply)
            found["claims"] = self.plan.query.claims
            found["statements"] = [
                {"shard": shard, "sql": query.sql, "args": _arguments(query, origins)}
                for shard, query, origins in self._statements(self.plan)
            ]
        return found

    def _statements(self, plan: Plan) -> Iterator[tuple[ShardId, ShardQuery, tuple[str, ...]]]:
        """What each shard runs, with the origin of each argument."""
        if plan.together is not None:
            for shard, query in plan.together.parts:
                yield shard, query, ("the statement's arguments",) * len(query.args)
            return
        for shard in shards_of(plan.route):
            yield shard, plan.query, self.origins
        if isinstance(plan.combine, PullUp):
            yield plan.combine.shard, plan.combine.query, self.last_origins


def _arguments(query: ShardQuery, origins: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {"value": value, "origin": origin}
        for value, origin in zip(_shown(query.args), origins, strict=False)
    ]


def explanation(
    query: Query, plan: Plan, statement: Statement, context: QueryContext, shard_map: ShardMap
) -> Explanation:
    """What was decided for a statement, and by which rule."""
    tenants = _concerned(query, statement, context)
    origins = [f"argument {number} of the statement" for number in range(1, query.parameters + 1)]
    if query.scoped:
        origins.append("the tenant in context")
    last: tuple[str, ...] = ()
    form = query.pull_up
    if isinstance(form, PullUpForm) and isinstance(plan.combine, PullUp):
        last = tuple(origins[index] for index in form.args)
        limits = ["one row more than may be fetched", "how many bytes may be fetched"]
        origins = [*limits, *(origins[index] for index in form.fetch_args)]
    return Explanation(
        epoch=shard_map.epoch,
        rule=_rule(query, context, tenants),
        tenants=tuple(_home(tenant, shard_map) for tenant in _ordered(tenants)),
        plan=plan,
        origins=tuple(origins),
        last_origins=last,
    )


def refused(refusal: RouterError, shard_map: ShardMap) -> Explanation:
    """A refusal as an explanation."""
    return Explanation(shard_map.epoch, f"{refusal.code}: {refusal.message}", refusal=refusal)


def explain(plan: Plan) -> dict[str, Any]:
    """The plan as a dictionary of strings, numbers and lists, in reading order."""
    found = {
        "route": _route(plan.route),
        "access": plan.query.access.name.lower(),
        "claims": plan.query.claims,
        "sql": plan.query.sql,
        "args": _shown(plan.query.args),
        "reply": _reply(plan.reply),
        "combine": _combine(plan),
        **(_pull_up(plan.combine) if isinstance(plan.combine, PullUp) else {}),
    }
    if plan.together is not None:
        found["parts"] = [
            {"shard": str(shard), "sql": query.sql, "args": _shown(query.args)}
            for shard, query in plan.together.parts
        ]
    return found


def _concerned(
    query: Query, statement: Statement, context: QueryContext
) -> frozenset[TenantId] | None:
    if query.target is not Target.SHARDED:
        return frozenset()
    if context.tenant is not None:
        return frozenset({context.tenant})
    return concerned(query, statement.args)


def _ordered(tenants: frozenset[TenantId] | None) -> list[TenantId]:
    """In a fixed order: numbers by value."""
    return sorted(tenants or (), key=lambda tenant: (len(tenant), tenant))


def _home(tenant: TenantId, shard_map: ShardMap) -> Home:
    unit = shard_map.unit(tenant)
    return Home(
        tenant=tenant,
        slot=slot_of(tenant),
        pinned=isinstance(unit, PinUnit),
        unit_epoch=shard_map.unit_epoch(unit),
        shard=shard_map.owner(tenant),
    )


def _rule(query: Query, context: QueryContext, tenants: frozenset[TenantId] | None) -> str:
    writes = query.access is Access.WRITE
    match query.target:
        case Target.SHARDED:
            return _sharded_rule(query, context, tenants)
        case Target.REFERENCE if writes:
            return "a reference table is written wherever it is: on every shard"
        case Target.REFERENCE:
            return "reference tables only: any shard has all rows"
        case Target.GLOBAL:
            return "global tables: the catalog's database has them"
        case Target.UNSHARDED:
            return "unsharded tables: the one shard there is"
        case Target.NOTHING:
            return "no table: any shard"
        case _:
            assert_never(query.target)


def _sharded_rule(query: Query, context: QueryContext, tenants: frozenset[TenantId] | None) -> str:
    if context.tenant is not None:
        return "the tenant in context: its shard, every sharded table held to its rows"
    if tenants is None:
        return "no tenant in context and none named: every shard that is a tenant's home"
    if not tenants:
        return "no tenant can match: any shard says so"
    if query.inserts:
        return "no tenant in context: the shards of the tenants whose rows are inserted"
    return "no tenant in context: the shards of the tenants that the statement names"


def _refusal(refusal: RouterError | None) -> dict[str, Any] | None:
    if refusal is None:
        return None
    return {"code": refusal.code, "message": refusal.message, "hint": refusal.hint}


def _shown(args: tuple[object, ...]) -> list[str | None]:
    return [str(arg) if arg is not None else None for arg in args]


def _kind(route: Route) -> str:
    match route:
        case OneShard():
            return "one"
        case AnyShard():
            return "any"
        case SomeShards():
            return "some"
        case EveryShard():
            return "every"
        case _:
            assert_never(route)


def _route(route: Route) -> str:
    return f"{_kind(route)}: {', '.join(shards_of(route))}"


def _reply(reply: Reply) -> str:
    return {
        Reply.ROWS: "rows",
        Reply.ENVELOPE: "one row holding JSON",
        Reply.COMMAND: "a number of rows",
    }[reply]


def _combine(plan: Plan) -> str:
    match plan.combine:
        case Single():
            return _passed_on(plan.together)
        case Collect(order):
            placed = "append in order of shards" if order is None else "rows in order of the input"
            decided = "" if plan.together is None else f"; {_decided(plan.together)}"
            return f"add counts, {placed}{decided}"
        case Merge(sort, limit, offset):
            keys = ", ".join(_key(index, key) for index, key in enumerate(sort))
            words = [f"merge by {keys}" if keys else "append in order of shards"]
            if offset:
                words.append(f"skip {offset}")
            if limit is not None:
                words.append(f"take {limit}")
            if plan.total:
                words.append("add totals")
            return ", ".join(words)
        case PullUp(tables, shard):
            names = ", ".join(table.name for table in tables)
            return f"pull up {names} into {shard}"
        case Totals(columns):
            return f"one row of all, columns {', '.join(how.name.lower() for how in columns)}"
        case _:
            assert_never(plan.combine)


def _passed_on(together: Together | None) -> str:
    if together is None:
        return "pass on"
    others = "" if together.unique else "others take the rows over; "
    return f"pass on; {others}{_decided(together)}"


def _decided(together: Together) -> str:
    kept = "; globally unique values kept" if together.unique else ""
    return f"all or nothing, decided on {together.parts[0].shard}{kept}"


def _pull_up(pull_up: PullUp) -> dict[str, Any]:
    """What is selected of each table, and what is computed of it."""
    return {
        "fetch": {table.name: table.sql for table in pull_up.tables},
        "final": pull_up.query.sql,
    }


def _key(index: int, key: SortKey) -> str:
    direction = "desc" if key.descending else "asc"
    return f"k{index} {direction} nulls {'first' if key.nulls_first else 'last'}"
