"""/api/v1/rpc: which procedures there are, and calls of them that are waited for.

Procedures are SQL files. Where there is none of a name, a function of the database is called that an
exposed schema has: the namespace is the schema, `default` the first one.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson
from multidict import CIMultiDict

from router import Deadline, QueryContext, Schema, Stream
from server.exchange import Reply, Request
from server.rest import exact_json
from server.rest.query_text import pairs
from server.routes import BodyKind, Entry, Handler, Route
from server.rpc.call import Caller, arguments, caller_of, check_role, may_call, params_of
from server.rpc.errors import ProcedureRows, ProcedureUnknown
from server.rpc.library import DEFAULT, Library
from server.rpc.procedure import Procedure
from server.rpc_settings import RpcSettings
from server.sql import Answering, AnswerPieces, Layout, Question, Statements, opening_text

PREFIX: Final = "/api/v1/rpc"
MAX_BYTES: Final = 64 * 1024 * 1024
"""An answer is held as a whole: its rows stand between what is said of the call."""
_JSON: Final = "application/json"
_COUNTED: Final = b',"row_count":'


class RpcDoor:
    """Answers calls of procedures."""

    def __init__(
        self,
        router: Statements,
        schema: Callable[[], Schema],
        library: Library,
        settings: RpcSettings,
        functions: Handler,
    ) -> None:
        """`functions` answers what is below `/rest/v1/rpc`."""
        self._router = router
        self._schema = schema
        self._library = library
        self._settings = settings
        self._functions = functions
        self._answering = Answering(router, schema, served_by=False)

    def routes(self) -> tuple[Route, ...]:
        """Its paths."""
        return (
            Route("GET", f"{PREFIX}/procedures", self.listed, entry=Entry.ANONYMOUS),
            Route(
                "POST",
                f"{PREFIX}/{{namespace}}/{{name}}",
                self.call,
                entry=Entry.ANONYMOUS,
                body=BodyKind.BULK,
                operation="run the procedure",
            ),
        )

    async def listed(self, request: Request) -> Reply:
        """The procedures that the caller may call."""
        caller = caller_of(request.principal)
        namespace = dict(pairs(request.query)).get("namespace")
        found = [
            told
            for told in summaries(self._library, caller)
            if namespace in {None, told["namespace"]}
        ]
        return Reply(200, orjson.dumps({"procedures": found, "count": len(found)}), _JSON)

    async def call(self, request: Request) -> Reply:
        """What the procedure gives, with what is said of the call.

        Raises:
            ProcedureError: The call is refused, by name.
            ServerError: So is that of a function.
            RouterError: So is the statement, or it fails.
        """
        began = time.monotonic()
        namespace, name = request.params["namespace"], request.params["name"]
        params = params_of(request.body)
        procedure = self._library.get((namespace, name))
        if procedure is None:
            result, rows = await self._function(request, namespace, name, params)
        else:
            result, rows = await self._procedure(request, procedure, params)
        told = orjson.dumps(
            {
                "execution_id": secrets.token_hex(16),
                "status": "completed",
                "rows_returned": rows,
                "duration_ms": round((time.monotonic() - began) * 1000),
            }
        )
        return Reply(200, b'%b,"result":%b}' % (told[:-1], result), _JSON)

    async def _procedure(
        self, request: Request, procedure: Procedure, params: Mapping[str, Any]
    ) -> tuple[bytes, int]:
        who = request.principal
        caller = caller_of(who)
        check_role(procedure, caller)
        question = Question(procedure.sql, arguments(procedure, params, caller))
        timeout_s = procedure.timeout_s or self._settings.default_timeout_s
        context = QueryContext(
            who.role,
            who.tenant,
            who.session,
            who.claims,
            Deadline.after(timeout_s),
            seen=request.seen,
            reached=request.reached,
        )
        statement, shape = await self._answering.prepared(question, context, Layout.JSON)
        most = self._settings.max_rows
        answer = await self._router.stream(statement, context, timeout_s)
        if isinstance(answer, Stream):
            pieces = AnswerPieces(answer, shape.columns, Layout.JSON, served_by=False)
            text, opening = await _whole(pieces, most), opening_text(shape.columns)
            rows, _, count = text[len(opening.encode()) :].rpartition(_COUNTED)
            if int(count[:-1]) > most:
                raise ProcedureRows(most)
            return rows, int(count[:-1])
        if answer.row_count > most and not procedure.writes:
            raise ProcedureRows(most)
        return answer.body.encode(), answer.row_count

    async def _function(
        self, request: Request, namespace: str, name: str, params: Mapping[str, Any]
    ) -> tuple[bytes, int]:
        schema = self._schema()
        owner = schema.exposed[0] if namespace == DEFAULT else namespace
        if (owner, name) not in schema.routines:
            raise ProcedureUnknown
        headers = CIMultiDict({"Content-Type": _JSON, "Content-Profile": owner})
        reply = await self._functions(
            request._replace(
                path=f"/rest/v1/rpc/{quote(name, safe='')}",
                query="",
                headers=headers,
                body=exact_json.dumps(dict(params)).encode(),
            )
        )
        if not reply.body:
            return b"null", 0
        rows = orjson.loads(reply.body) if reply.body.startswith(b"[") else [None]
        return reply.body, len(rows)


async def _whole(pieces: AnswerPieces, most: int) -> bytes:
    """All of an answer in pieces, which is closed."""
    parts, held = [], 0
    try:
        async for part in pieces:
            held += len(part)
            if held > MAX_BYTES:
                raise ProcedureRows(most)
            parts.append(part)
    finally:
        await pieces.close()
    return b"".join(parts)


def summaries(library: Library, caller: Caller) -> list[dict[str, Any]]:
    """What is told of the procedures that the caller may call."""
    return [_summary(procedure) for procedure in library.values() if may_call(procedure, caller)]


def _summary(procedure: Procedure) -> dict[str, Any]:
    return {
        "namespace": procedure.namespace,
        "name": procedure.name,
        "description": procedure.description,
        "input_schema": None if procedure.inputs is None else dict(procedure.inputs),
        "output_schema": None if procedure.outputs is None else dict(procedure.outputs),
        "require_roles": list(procedure.roles),
        "is_public": procedure.public,
        "version": procedure.version,
    }
