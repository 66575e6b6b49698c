"""The native API under /api/v1/tables."""

from typing import assert_never

from server.exchange import Reply, Request
from server.rest.desk import Desk, Target
from server.rest.native.paths import PREFIX, Catalog, OneRow, Question, Rows, place_of
from server.rest.native.reads import NativeReads
from server.rest.native.writes import NativeWrites

__all__ = ["PREFIX", "Native"]


class Native:
    """Answers requests under /api/v1/tables."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._reads = NativeReads(desk)
        self._writes = NativeWrites(desk)

    async def handle(self, request: Request) -> Reply:
        """The reply to any request below the prefix.

        Raises:
            ServerError: The request is refused, by name.
            RouterError: So it is by the router.
        """
        schema = self._desk.catalogue.schema
        if request.method in {"GET", "HEAD"}:
            known = self._reads.remembered(request, schema)
            if known is not None:
                return await self._reads.rows(request, known)
        place = place_of(request.path, request.method, schema)
        match place:
            case Catalog():
                return self._reads.tables(request, schema)
            case Question(table):
                return await self._reads.asked(request, Target(table, schema))
            case OneRow(table, identity):
                return await self._row(request, Target(table, schema), identity)
            case Rows(table):
                return await self._rows(request, Target(table, schema))
            case _:
                assert_never(place)

    async def _rows(self, request: Request, target: Target) -> Reply:
        match request.method:
            case "POST":
                return await self._writes.insert(request, target)
            case "PATCH":
                return await self._writes.update(request, target)
            case "DELETE":
                return await self._writes.delete(request, target)
            case _:
                return await self._reads.listed(request, target)

    async def _row(self, request: Request, target: Target, identity: str) -> Reply:
        match request.method:
            case "PUT" | "PATCH":
                return await self._writes.update_row(request, target, identity)
            case "DELETE":
                return await self._writes.delete_row(request, target, identity)
            case _:
                return await self._reads.row(request, target, identity)
