"""Reads of the PostgREST dialect: GET, HEAD and OPTIONS."""

from router import Result, Schema, Stream
from server.exchange import Reply, Request
from server.rest.catalogue import Memo
from server.rest.counting import INEXACT, PLANNED, estimate, with_total
from server.rest.desk import Desk, Filled, Target
from server.rest.errors import ParameterMisplaced
from server.rest.page import postgrest_page
from server.rest.postgrest import render
from server.rest.postgrest.media import Media, check_made, media_of
from server.rest.postgrest.paths import profile_of, profiled, range_of, target_of
from server.rest.postgrest.plan_media import PlanMedia, plan_media
from server.rest.postgrest.query import CUTTABLE, postgrest_query
from server.rest.prefer import NONE, Preferences, reported
from server.rest.query_text import pairs
from server.rest.request import Page, ReadRows, Shown
from server.rest.shapes import cut
from server.rest.template import Template


class PostgrestReads:
    """Answers GET, HEAD and OPTIONS."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._shapes: Memo[Template] = Memo()

    async def rows(self, request: Request, schema: Schema, prefer: Preferences) -> Reply:
        """The rows that the query string asks for, in the representation of `Accept`.

        Raises:
            ServerError: The request is refused, by name.
            RouterError: So it is by the router.
        """
        profile = profile_of(request)
        accept = request.headers.get("Accept")
        if self._desk.limits.plans:
            explained = plan_media(accept)
            if explained is not None:
                return await self._plans(request, profile, schema, explained, prefer)
        media = media_of(accept)
        reading = self._reading(request, profile, media, schema)
        counted = prefer.count
        total: int | None = None
        if counted in INEXACT:
            total = await self._estimated(request, profile, schema, prefer)
        elif counted is not None:
            reading = reading._replace(counted=True)
        consistent = prefer.consistent
        if consistent is not None:
            reading = reading._replace(snapshot=prefer.snapshot, consistency=prefer.consistency)
        result = await self._desk.ask_for_rows(request, reading)
        extra = (*profiled(profile), *render.warned(reading.warnings))
        if prefer is not NONE:
            extra = (*extra, *reported(prefer, "count", consistent=consistent))
        return await self._replied(request, result, reading, media, extra, total)

    async def _replied(  # noqa: PLR0913, PLR0917 - what a reply is made of
        self,
        request: Request,
        result: Result | Stream,
        reading: Filled,
        media: Media,
        extra: render.Headers,
        total: int | None,
    ) -> Reply:
        if isinstance(result, Stream):
            replied = False
            try:
                reply = await render.streamed(request, result, reading, media, extra, total)
                replied = True
            finally:
                if not replied:
                    await result.close()
            return reply
        if total is not None:
            result = with_total(result, reading.page.offset, total)
        return render.read(request, result, reading, media, extra)

    async def _estimated(
        self, request: Request, profile: str | None, schema: Schema, prefer: Preferences
    ) -> int:
        """About how many rows there are without the page."""
        target = target_of(request, profile, schema)
        query = postgrest_query(pairs(request.query), self._desk.limits)
        read = ReadRows(target.table.name, Shown(query.outputs), query.where)
        how = prefer.count or PLANNED
        return await estimate(
            self._desk, request, target, read, query.values, how, prefer.consistency
        )

    async def _plans(
        self,
        request: Request,
        profile: str | None,
        schema: Schema,
        explained: PlanMedia,
        prefer: Preferences,
    ) -> Reply:
        """PostgreSQL's plan of the read, in place of its rows."""
        reading = self._reading(request, profile, explained.media, schema)
        reading = reading._replace(counted=prefer.count is not None)
        plans = await self._desk.server_plans(request, reading, explained.options)
        return render.planned(request, plans, explained)

    def options(self, request: Request, schema: Schema) -> Reply:
        """What can be done with the table."""
        table = target_of(request, profile_of(request), schema).table
        allowed = ["OPTIONS", "GET", "HEAD"]
        if table.writable:
            allowed += ["POST", "PUT", "PATCH", "DELETE"]
            if not table.primary_key:
                allowed.remove("PUT")
        return Reply(
            200, headers=(("Access-Control-Allow-Origin", "*"), ("Allow", ",".join(allowed)))
        )

    def _reading(
        self, request: Request, profile: str | None, media: Media, schema: Schema
    ) -> Filled:
        check_made(media, schema)
        parts = cut(request.query, CUTTABLE)
        key: tuple[object, ...] = ()
        if parts is not None:
            page = self._page(parts.limit, parts.offset, request)
            limited, skipped = page.limit is not None, page.offset > 0
            key = (request.path, profile, media.kind, limited, skipped, parts.shape)
            template = self._shapes.of(schema).get(key)
            if template is not None:
                return Filled(template, parts.values, page)
        target = target_of(request, profile, schema)
        reading = self._parsed(request, target, media)
        if parts is not None and parts.values == reading.values and not reading.warnings:
            self._shapes.of(schema)
            self._shapes.keep(key, reading.template)
        return reading

    def _parsed(self, request: Request, target: Target, media: Media) -> Filled:
        query = postgrest_query(pairs(request.query), self._desk.limits)
        for name in ("columns", "on_conflict"):
            if getattr(query, name):
                raise ParameterMisplaced(name, request.method)
        page = self._page(query.limit, query.offset, request)
        read = ReadRows(
            target.table.name,
            media.shown(query.outputs),
            query.where,
            query.order,
            limited=page.limit is not None,
            skipped=page.offset > 0,
        )
        template = self._desk.template(read, target)
        return Filled(template, query.values, page, warnings=query.warnings)

    def _page(self, limit: str | None, offset: str | None, request: Request) -> Page:
        return postgrest_page(limit, offset, range_of(request), self._desk.limits.max_rows)
