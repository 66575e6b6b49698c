"""A plan as plain data, for people, goldens and the command line."""

from typing import Any, assert_never

from router.plan import AnyShard, EveryShard, Merge, OneShard, Plan, Route, Single, SomeShards
from router.query import Reply, SortKey


def explain(plan: Plan) -> dict[str, Any]:
    """The plan as a dictionary of strings, numbers and lists, in reading order."""
    return {
        "route": _route(plan.route),
        "access": plan.query.access.name.lower(),
        "claims": plan.query.claims,
        "sql": plan.query.sql,
        "args": [str(arg) if arg is not None else None for arg in plan.query.args],
        "reply": _reply(plan.reply),
        "combine": _combine(plan),
    }


def _route(route: Route) -> str:
    match route:
        case OneShard(shard):
            return f"one: {shard}"
        case AnyShard(shard):
            return f"any: {shard}"
        case SomeShards(shards):
            return f"some: {', '.join(shards)}"
        case EveryShard(shards):
            return f"every: {', '.join(shards)}"
        case _:
            assert_never(route)


def _reply(reply: Reply) -> str:
    return {
        Reply.ROWS: "rows",
        Reply.ENVELOPE: "one row holding JSON",
        Reply.COMMAND: "a number of rows",
    }[reply]


def _combine(plan: Plan) -> str:
    match plan.combine:
        case Single():
            return "pass on"
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
        case _:
            assert_never(plan.combine)


def _key(index: int, key: SortKey) -> str:
    direction = "desc" if key.descending else "asc"
    return f"k{index} {direction} nulls {'first' if key.nulls_first else 'last'}"
