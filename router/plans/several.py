"""Plans of reads over several shards: merged from their own answers, or computed by one of them."""

import zlib

from router.analysis.query import Constant, Param, PullUpForm, Query, Reply, Source, TotalsForm
from router.backends import ShardQuery
from router.context import QueryContext
from router.errors import QueryRefused, StatementFailed, StatementNotUnderstood
from router.plans.plan import (
    EveryShard,
    Merge,
    Plan,
    PullUp,
    PullUpLimits,
    Route,
    SomeShards,
    Totals,
)
from router.plans.spreading import sent
from router.statement import WHOLE_ROWS, Statement

Args = tuple[object, ...]


def gathered(query: Query, statement: Statement, route: Route) -> Plan:
    """Each of the shards answers for itself.

    Raises:
        QueryRefused: They cannot.
        StatementFailed: LIMIT or OFFSET is negative.
    """
    form = query.gather
    if form is None:
        refusal = query.gather_refusal or QueryRefused("the statement cannot run across shards")
        raise refusal.with_traceback(None)
    limit = _bound(form.limit, statement.args)
    offset = _bound(form.offset, statement.args)
    _check_bounds(limit, offset)
    small = limit is not None and limit + (offset or 0) <= WHOLE_ROWS
    return Plan(
        route=route,
        query=ShardQuery(
            sql=form.page if small and form.page is not None else form.sql,
            args=sent(statement.args),
            access=query.access,
            claims=query.claims,
            inline_position=query.inline_position,
        ),
        combine=Merge(form.sort, limit, offset or 0),
        reply=query.reply,
        total=query.total,
    )


def pulled_up(  # noqa: PLR0913, PLR0917 - what a plan depends on
    query: Query,
    form: PullUpForm | TotalsForm,
    statement: Statement,
    route: SomeShards | EveryShard,
    context: QueryContext,
    limits: PullUpLimits,
) -> Plan:
    """The statement over rows that the route's shards send, on one of them; or over their answers."""
    args = sent(statement.args)
    if isinstance(form, TotalsForm):
        asked = ShardQuery(
            query.sql,
            args,
            query.access,
            query.claims,
            query.inline_position,
            statement.exactly,
            1 if query.reply is Reply.ENVELOPE else None,
        )
        return Plan(route, asked, Totals(form.columns), query.reply, query.total)
    fetch_args = (limits.rows + 1, limits.bytes, *(args[index] for index in form.fetch_args))
    final = ShardQuery(
        form.sql,
        tuple(args[index] for index in form.args),
        query.access,
        query.claims,
        query.inline_position,
        statement.exactly,
        1 if query.reply is Reply.ENVELOPE else None,
    )
    at = zlib.crc32(context.session.encode()) % len(route.shards)
    return Plan(
        route=route,
        query=ShardQuery(form.fetch, fetch_args, query.access, query.claims, inline_position=True),
        combine=PullUp(form.tables, route.shards[at], final, limits.rows, limits.bytes),
        reply=query.reply,
        total=query.total,
    )


def _check_bounds(limit: int | None, offset: int | None) -> None:
    if limit is not None and limit < 0:
        raise StatementFailed("2201W", "LIMIT must not be negative")
    if offset is not None and offset < 0:
        raise StatementFailed("2201X", "OFFSET must not be negative")


def _bound(source: Source | None, args: Args) -> int | None:
    match source:
        case None:
            return None
        case Param(index):
            value = args[index]
        case Constant(constant):
            value = constant
        case _:
            raise AssertionError("bounds are parameters or constants")
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise StatementNotUnderstood("LIMIT and OFFSET of a gather must be integers")
