"""/openapi.json, and /docs to browse it: our own page, which asks nobody but this server."""

from collections.abc import Iterable
from functools import partial
from importlib.resources import files
from typing import Any, Final

from router import Documentation, Schema
from server.auth import ANONYMOUS
from server.exchange import Principal, Reply, Request
from server.openapi.documents import Documents
from server.openapi.root import RootSpec
from server.openapi.shown import Mode, TenantColumn
from server.openapi.whole import seen_by, whole
from server.routes import Entry, Route
from server.rpc.call import caller_of
from server.rpc.door import summaries
from server.rpc.library import Library

_PAGE_HEADERS: Final = (
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    ("Cache-Control", "no-cache"),
    ("X-Content-Type-Options", "nosniff"),
)
_FILES: Final = {
    "/docs": ("page.html", "text/html; charset=utf-8"),
    "/docs/viewer.js": ("viewer.js", "text/javascript; charset=utf-8"),
    "/docs/viewer.css": ("viewer.css", "text/css; charset=utf-8"),
}


class OpenApiDoor:
    """Serves the document of the whole API, and the page."""

    def __init__(  # noqa: PLR0913 - what is described
        self,
        documents: Documents,
        tenant_column: TenantColumn,
        spec: RootSpec,
        library: Library,
        routes: Iterable[Route],
        *,
        anonymous: bool,
    ) -> None:
        """`routes` are those of all other doors; `anonymous`: callers without a token are let in."""
        self._documents = documents
        self._tenant_column = tenant_column
        self._spec = spec
        self._library = library
        self._routes = tuple(routes)
        self._anonymous = anonymous
        self._pages = {
            path: (files("server.openapi").joinpath("viewer", name).read_bytes(), kind)
            for path, (name, kind) in _FILES.items()
        }

    def routes(self) -> tuple[Route, ...]:
        """Its paths."""
        return (
            Route("GET", "/openapi.json", self.document, entry=Entry.WELCOME),
            *(
                Route("GET", path, self.page, entry=Entry.OPEN, summary=f"The page {path}")
                for path in self._pages
            ),
        )

    async def document(self, request: Request) -> Reply:
        """This document: OpenAPI 3.1 of what the caller may use.

        Raises:
            RouterError: The tables are not known, or nobody can be asked about them.
        """
        who = request.principal
        mode = self._spec.mode
        nobody = who is ANONYMOUS and not self._anonymous
        if nobody and mode is Mode.FOLLOW_PRIVILEGES:
            mode = Mode.DISABLED
        caller = caller_of(who)
        document = await self._documents.document(
            ("3.1", mode, caller.role, caller.service),
            who.role,
            request.deadline,
            partial(self._build, mode, who),
        )
        headers = (("ETag", document.etag), ("Cache-Control", "no-cache"))
        if request.headers.get("If-None-Match") == document.etag:
            return Reply(304, headers=headers)
        return Reply(200, document.body, "application/json", headers)

    async def page(self, request: Request) -> Reply:
        """A part of the page."""
        body, kind = self._pages[request.path.removesuffix("/")]
        return Reply(200, body, kind, _PAGE_HEADERS)

    def _build(
        self, mode: Mode, who: Principal, schema: Schema, notes: Documentation
    ) -> dict[str, Any]:
        seen = () if mode is Mode.DISABLED else seen_by(schema, notes, mode, self._tenant_column)
        return whole(
            seen,
            schema.exposed,
            version=self._spec.version,
            routes=(*self._routes, *self.routes()),
            procedures=summaries(self._library, caller_of(who)),
        )
