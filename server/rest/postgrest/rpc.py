"""Calls of functions: GET, HEAD and POST under /rest/v1/rpc."""

from collections.abc import Mapping, Sequence
from typing import Final

from router import Result, Routine, Schema
from server.exchange import Reply, Request
from server.rest import exact_json
from server.rest.body import JSON_TYPES, form_rows, json_object
from server.rest.build import STRUCTURED
from server.rest.call_scope import CallScope
from server.rest.desk import Desk, Filled, Target
from server.rest.errors import BodyInvalid, MediaUnavailable, SchemaUnknown
from server.rest.exact_json import Member, encode
from server.rest.filter_text import is_operation
from server.rest.operands import array_literal
from server.rest.page import content_range, postgrest_page
from server.rest.postgrest import render
from server.rest.postgrest.handlers import content, handled
from server.rest.postgrest.media import Media, body_type, media_of
from server.rest.postgrest.paths import PREFIX, READS, profile_of, profiled, range_of
from server.rest.postgrest.plan_media import PlanMedia, plan_media
from server.rest.postgrest.query import GRAMMAR, SINGLE, postgrest_query
from server.rest.prefer import Preferences, reported
from server.rest.query_text import Pair, pairs, segment
from server.rest.request import CallRoutine, Passed
from server.rest.routines import (
    RoutineMethodRefused,
    RoutineVolatile,
    RowsNotCounted,
    routine_of,
    rows_table,
    takes_body,
)
from server.rest.writes import literal

METHODS: Final = ("GET", "HEAD", "POST")
WHOLE_BODY: Final = {
    "json": "application/json",
    "jsonb": "application/json",
    "text": "text/plain",
    "xml": "text/xml",
    "bytea": "application/octet-stream",
}
"""What a function's only argument without a name takes, by its type."""

NO_MEMBERS: Final = Member([], "[]")
"""What a variadic argument is that is left out."""

_VALUE: Final = '[{"v":'
"""How an answer begins that is one value in the column `v`; it ends with `}]`."""

_NUMBER: Final = ',"n":'
"""What stands behind an array of values: how many there are."""


class PostgrestCalls:
    """Answers calls of functions."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._scope = CallScope(desk.tenant_column)

    def options(self, request: Request, schema: Schema) -> Reply:
        """How the function may be called."""
        namespace, name = _named(request, schema)
        found = schema.routines.get((namespace, name), ())
        only_reads = bool(found) and not any(routine.volatile for routine in found)
        allowed = "OPTIONS,GET,HEAD,POST" if only_reads else "OPTIONS,POST"
        return Reply(200, headers=(("Access-Control-Allow-Origin", "*"), ("Allow", allowed)))

    async def call(self, request: Request, schema: Schema, prefer: Preferences) -> Reply:
        """What the function gives: a value, an object, or an array.

        Raises:
            RoutineMethodRefused: Functions are not called so.
            RoutineUnknown: There is no such function, or not with these arguments.
            RoutineAmbiguous: There are several.
            RoutineVolatile: It may write, and the method reads.
            FeatureMissing: It may read tenants' rows, and the service role names no tenant.
            ServerError: The request is refused, by name.
            RouterError: So it is by the router.
        """
        if request.method not in METHODS:
            raise RoutineMethodRefused(request.method)
        namespace, name = _named(request, schema)
        reads = request.method in READS
        if reads:
            given, others = _split(pairs(request.query), schema, namespace, name)
            arguments: Mapping[str, Member] | None = None
            routine = routine_of(schema, namespace, name, given, body=False)
            if routine.volatile:
                raise RoutineVolatile(name)
        else:
            given, others = {}, list(pairs(request.query))
            arguments = _members(request)
            names = () if arguments is None else arguments.keys()
            routine = routine_of(schema, namespace, name, names, body=True)
        accept = request.headers.get("Accept")
        explained = plan_media(accept) if self._desk.limits.plans else None
        made, media = _made(routine, accept, explained)
        bounded = prefer.strict and prefer.max_affected is not None
        if bounded and not routine.set_of:
            raise RowsNotCounted
        values, passed = (
            _of_query(routine, given) if reads else _of_body(routine, arguments, request)
        )
        by_name = {each.parameter.name: values[each.value] for each in passed}
        caller = self._scope.caller(request.principal, schema, routine, by_name)
        request = request._replace(principal=caller)
        filled = self._filled(
            request, schema, others, routine, values, passed, media, apart=bounded
        )
        if prefer.count is not None and routine.columns:
            filled = filled._replace(counted=True)
        if explained is not None:
            plans = await self._desk.server_plans(request, filled, explained.options)
            return render.planned(request, plans, explained)
        result = await self._desk.ask(request, filled)
        if bounded and request.environment is not None:
            request.environment.check_rows(result.row_count)
        extra = (
            *profiled(profile_of(request)),
            *reported(prefer, "count", "max-affected"),
        )
        if made is not None:
            value = content(result.body[len(_VALUE) : -2], routine.category)
            headers = (("Content-Range", "0-0/*"), render.VARY, *extra)
            return Reply(200, _sent(request, value), made, headers)
        counted = prefer.count is not None
        return _reply(
            request, result, filled, routine, media, extra, apart=bounded, counted=counted
        )

    def _filled(  # noqa: PLR0913, PLR0917 - what a call is made of
        self,
        request: Request,
        schema: Schema,
        others: Sequence[Pair],
        routine: Routine,
        values: Sequence[object],
        passed: tuple[Passed, ...],
        media: Media,
        *,
        apart: bool,
    ) -> Filled:
        limits = self._desk.limits
        query = postgrest_query(others, limits, reserved=len(values))
        page = postgrest_page(query.limit, query.offset, range_of(request), limits.max_rows)
        table = rows_table(routine, schema)
        call = CallRoutine(
            routine,
            passed,
            media.shown(query.outputs),
            query.where,
            query.order,
            limited=page.limit is not None,
            skipped=page.offset > 0,
            apart=apart and not routine.columns,
        )
        template = self._desk.template(call, Target(table, schema))
        return Filled(template, (*values, *query.values[len(values) :]), page)


def _made(
    routine: Routine, accept: str | None, explained: PlanMedia | None
) -> tuple[str | None, Media]:
    """The representation: one that the function makes itself, or one of ours.

    Raises:
        MediaUnavailable: Nothing that the client accepts can be made.
    """
    if explained is not None:
        made, media = None, explained.media
    else:
        made = handled(routine, accept)
        media = media_of(None if made is not None else accept)
    if not routine.columns and media not in {Media.JSON, Media.OBJECT}:
        raise MediaUnavailable([media.content_type])
    return made, media


def _named(request: Request, schema: Schema) -> tuple[str, str]:
    """The schema and the name of the function."""
    profile = profile_of(request)
    namespace = schema.exposed[0] if profile is None else profile
    if namespace not in schema.exposed:
        raise SchemaUnknown(namespace, schema.exposed)
    path = request.path.removeprefix(PREFIX).removesuffix("/")
    return namespace, segment(path.rpartition("/")[2])


def _split(
    found: Sequence[Pair], schema: Schema, namespace: str, name: str
) -> tuple[dict[str, list[str]], list[Pair]]:
    """The arguments that a query gives, and what says which rows are wanted of the result.

    A name of an argument is one, unless a column of the result has the name, too, and the value
    has the form of a filter. Any other name is an argument unless its value has that form.
    """
    routines = schema.routines.get((namespace, name), ())
    names = {each.name for routine in routines for each in routine.arguments}
    columns = {each.name for routine in routines for each in routine.columns}
    given: dict[str, list[str]] = {}
    others: list[Pair] = []
    for key, value in found:
        filters = is_operation(value, GRAMMAR)
        if key in SINGLE or "." in key or key in {"and", "or"}:
            others.append((key, value))
        elif key in names and not (filters and key in columns):
            given.setdefault(key, []).append(value)
        elif filters:
            others.append((key, value))
        else:
            given.setdefault(key, []).append(value)
    return given, others


def _of_query(
    routine: Routine, given: Mapping[str, Sequence[str]]
) -> tuple[list[object], tuple[Passed, ...]]:
    values: list[object] = []
    passed: list[Passed] = []
    last = routine.arguments[-1:]
    for parameter in routine.arguments:
        variadic = routine.variadic and parameter in last
        if parameter.name not in given and not variadic:
            continue
        texts = given.get(parameter.name, ())
        listed = variadic and not (len(texts) == 1 and texts[0].startswith("{"))
        values.append(array_literal(list(texts)) if listed else texts[-1])
        passed.append(Passed(parameter, len(values) - 1, variadic=variadic))
    return values, tuple(passed)


def _of_body(
    routine: Routine, members: Mapping[str, Member] | None, request: Request
) -> tuple[list[object], tuple[Passed, ...]]:
    if takes_body(routine):
        [parameter] = routine.arguments
        return [_whole_body(request, parameter.type)], (Passed(parameter, 0),)
    values: list[object] = []
    passed: list[Passed] = []
    last = routine.arguments[-1:]
    for parameter in routine.arguments:
        variadic = routine.variadic and parameter in last
        member = (members or {}).get(parameter.name, NO_MEMBERS if variadic else None)
        if member is None:
            continue
        if parameter.category in STRUCTURED and member.value is not None:
            values.append(f"[{{{encode('v')}:{member.text}}}]")
        else:
            values.append(literal(parameter.type, member))
        passed.append(Passed(parameter, len(values) - 1, as_json=True, variadic=variadic))
    return values, tuple(passed)


def _whole_body(request: Request, kind: str) -> str:
    wanted = WHOLE_BODY.get(kind)
    sent = body_type(request.headers.get("Content-Type"))
    if wanted is None or (sent != wanted and not (sent in JSON_TYPES and wanted in JSON_TYPES)):
        raise BodyInvalid(f"Content-Type not acceptable: {sent}")
    if kind == "bytea":
        return f"\\x{request.body.hex()}"
    try:
        return request.body.decode()
    except UnicodeDecodeError as error:
        raise BodyInvalid("The body is not UTF-8") from error


def _members(request: Request) -> Mapping[str, Member] | None:
    """The arguments that a body names; None: it is taken as a whole, if anything takes it."""
    kind = body_type(request.headers.get("Content-Type"))
    if not request.body:
        return {}
    if kind == "application/x-www-form-urlencoded":
        [row] = form_rows(request.body).rows
        return {name: Member(value, encode(value)) for name, value in row.items()}
    if kind not in JSON_TYPES:
        if kind not in WHOLE_BODY.values():
            raise BodyInvalid(f"Content-Type not acceptable: {kind}")
        return None
    try:
        return json_object(request.body)
    except BodyInvalid:
        return None  # an array, say, which a function may take as a whole


def _reply(  # noqa: PLR0913, PLR0917 - what a reply is made of
    request: Request,
    result: Result,
    filled: Filled,
    routine: Routine,
    media: Media,
    extra: render.Headers,
    *,
    apart: bool,
    counted: bool,
) -> Reply:
    if routine.void:
        return Reply(204, headers=(render.VARY, *extra))
    if not routine.columns:
        value, rows = result.body[len(_VALUE) : -2], 1
        if apart:
            value, rows = _apart(result.body), result.row_count
        elif routine.set_of:
            value, _, number = value.rpartition(_NUMBER)
            rows = int(number)
        extent = content_range(filled.page.offset if routine.set_of else 0, rows, None)
        headers = (("Content-Range", extent), render.VARY, *extra)
        return Reply(200, _sent(request, value.encode()), media.content_type, headers)
    if not routine.set_of and media is Media.JSON:
        body = render.content(result, Media.OBJECT, ())
        headers = (
            ("Content-Range", content_range(0, 1, 1 if counted else None)),
            render.VARY,
            *extra,
        )
        return Reply(200, _sent(request, body), media.content_type, headers)
    return render.read(request, result, filled, media, extra)


def _apart(body: str) -> str:
    """The values of rows of one column, as one array."""
    return f"[{render.ROW_SEPARATOR.join(exact_json.dumps(row['v']) for row in exact_json.loads(body))}]"


def _sent(request: Request, body: bytes) -> bytes:
    return b"" if request.method == "HEAD" else body
