"""The two mounts of the REST API, and their routes."""

from collections.abc import Callable, Iterator
from typing import Final

from router import Schema
from server.errors import Dialect
from server.policies import Policies
from server.rest import native, postgrest
from server.rest.catalogue import Catalogue
from server.rest.desk import Answers, Desk
from server.rest.page import Limits
from server.rest.relations import TenantColumn
from server.rest.wished import heeding
from server.routes import BodyKind, Entry, Handler, Route

_NATIVE_PLACES: Final = ("/{table}", "/{schema}/{table}", "/{schema}/{table}/{id}")
_WRITES: Final = ("POST", "PUT", "PATCH", "DELETE")
_OPERATIONS: Final = {
    "GET": "fetch records",
    "POST": "create records",
    "PUT": "update record",
    "PATCH": "update records",
    "DELETE": "delete records",
}
"""What the native API says has failed."""


class Tables:
    """Rows of the exposed tables, under /api/v1/tables and /rest/v1.

    `schema` gives the tables as they are now, `tenant_column` the column that a table is sharded
    by; both are asked for each request.
    """

    def __init__(
        self,
        router: Answers,
        schema: Callable[[], Schema],
        tenant_column: TenantColumn,
        limits: Limits,
        policies: Policies | None = None,
    ) -> None:
        catalogue = Catalogue(schema, tenant_column, policies)
        self.prepare: Final = catalogue.prepare
        """To be called with a schema before it is the one in use, so that no request waits."""
        desk = Desk(router, catalogue, tenant_column, limits)
        self.native: Final[Handler] = heeding(native.Native(desk).handle)
        """Replies to requests under /api/v1/tables."""
        self.postgrest: Final[Handler] = heeding(postgrest.Postgrest(desk).handle)
        """Replies to requests under /rest/v1."""

    def routes(self, root: Handler | None = None) -> tuple[Route, ...]:
        """Every method and path of both mounts. HEAD is served by GET.

        `root` answers at /rest/v1 itself; without it there is no document.
        """
        return (*self._native_routes(), *self._postgrest_routes(root or self.postgrest))

    def _native_routes(self) -> Iterator[Route]:
        yield Route("GET", native.PREFIX, self.native)
        for place in _NATIVE_PLACES:
            template = f"{native.PREFIX}{place}"
            for method in ("GET", *_WRITES):
                yield Route(
                    method,
                    template,
                    self.native,
                    body=_body(method),
                    operation=_OPERATIONS[method],
                )

    def _postgrest_routes(self, root: Handler) -> Iterator[Route]:
        def route(method: str, place: str, handler: Handler) -> Route:
            return Route(
                method,
                f"{postgrest.PREFIX}{place}",
                handler,
                Dialect.POSTGREST,
                Entry.ANONYMOUS,
                _body(method),
            )

        yield route("GET", "", root)
        yield route("OPTIONS", "", root)
        for method in ("GET", *_WRITES, "OPTIONS"):
            yield route(method, "/{table}", self.postgrest)
        for method in ("GET", *_WRITES, "OPTIONS"):
            yield route(method, "/rpc/{function}", self.postgrest)


def _body(method: str) -> BodyKind:
    """Arrays come by POST, and may be ten times as large as a row."""
    return BodyKind.BULK if method == "POST" else BodyKind.REST
