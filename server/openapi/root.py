"""The root of the PostgREST dialect: OpenAPI 2.0 of one schema, or a function's result in its place."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from multidict import CIMultiDict

from router import Documentation, Schema
from server.errors import MethodRefused
from server.exchange import Reply, Request
from server.openapi.documents import Documents
from server.openapi.shown import Mode, TenantColumn, shown
from server.openapi.swagger import Place, swagger
from server.rest.errors import MediaUnavailable, RootDisabled, SchemaUnknown
from server.rest.postgrest.paths import profiled
from server.routes import Handler

CONTENT_TYPE: Final = "application/openapi+json; charset=utf-8"

_ACCEPTED: Final = frozenset(
    {"", "*/*", "application/*", "application/json", "application/openapi+json"}
)
_ALLOWED: Final = ("OPTIONS", "GET", "HEAD")


@dataclass(frozen=True, slots=True)
class RootSpec:
    """How the root answers."""

    mode: Mode
    place: Place
    version: str
    security: bool = False
    """Whether the document says that a token is sent."""
    function: str = ""
    """The function that answers in the document's place, perhaps with its schema; empty: none."""


class RootDocument:
    """Answers requests at the root of the dialect."""

    def __init__(
        self, documents: Documents, tenant_column: TenantColumn, spec: RootSpec, calls: Handler
    ) -> None:
        """`calls` answers what is below `/rest/v1/rpc`."""
        self._documents = documents
        self._tenant_column = tenant_column
        self._spec = spec
        self._calls = calls

    async def handle(self, request: Request) -> Reply:
        """The document of the schema that the profile names.

        Raises:
            MethodRefused: The root is only read.
            RootDisabled: There is no document.
            SchemaUnknown: The profile is not exposed.
            MediaUnavailable: The client does not accept JSON.
            RouterError: The tables are not known, or nobody can be asked about them.
        """
        if request.method == "OPTIONS":
            allowed = ("Allow", ",".join(_ALLOWED))
            return Reply(200, headers=(("Access-Control-Allow-Origin", "*"), allowed))
        if request.method not in _ALLOWED:
            raise MethodRefused(request.method, _ALLOWED)
        if self._spec.function:
            return await self._called(request)
        if self._spec.mode is Mode.DISABLED:
            raise RootDisabled
        _accepted(request.headers.get("Accept", ""))
        exposed = self._documents.schema.exposed
        profile = request.headers.get("Accept-Profile")
        namespace = exposed[0] if profile is None else profile
        if namespace not in exposed:
            raise SchemaUnknown(namespace, exposed)
        document = await self._documents.document(
            ("2.0", namespace, self._spec),
            request.principal.role,
            request.deadline,
            partial(self._build, namespace),
        )
        headers = (*profiled(profile), ("ETag", document.etag))
        if request.headers.get("If-None-Match") == document.etag:
            return Reply(304, headers=headers)
        return Reply(200, document.body, CONTENT_TYPE, headers)

    def _build(self, namespace: str, schema: Schema, notes: Documentation) -> dict[str, Any]:
        spec = self._spec
        found = shown(schema, notes, namespace, spec.mode, self._tenant_column)
        return swagger(found, spec.place, spec.version, security=spec.security)

    async def _called(self, request: Request) -> Reply:
        schema, _, name = self._spec.function.rpartition(".")
        headers = CIMultiDict(request.headers)
        headers["Accept"] = "application/json"
        if schema:
            headers["Accept-Profile"] = schema
        path = f"/rest/v1/rpc/{quote(name, safe='')}"
        reply = await self._calls(request._replace(path=path, query="", headers=headers))
        return reply._replace(content_type=CONTENT_TYPE)


def _accepted(accept: str) -> None:
    wanted = [item.partition(";")[0].strip().lower() for item in accept.split(",")]
    if _ACCEPTED.isdisjoint(wanted):
        raise MediaUnavailable(wanted)
