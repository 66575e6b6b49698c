"""The PostgREST dialect under /rest/v1."""

from dataclasses import replace
from typing import Final

from server.exchange import Reply, Request
from server.rest.desk import Desk
from server.rest.errors import PreferencesInvalid
from server.rest.postgrest.paths import PREFIX, profile_of, target_of
from server.rest.postgrest.reads import PostgrestReads
from server.rest.postgrest.rpc import PostgrestCalls
from server.rest.postgrest.writes import PostgrestWrites
from server.rest.prefer import NONE, Preferences, preferences_of

__all__ = ["PREFIX", "Postgrest"]

_CALLS: Final = f"{PREFIX}/rpc/"


class Postgrest:
    """Answers requests under /rest/v1."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._reads = PostgrestReads(desk)
        self._writes = PostgrestWrites(desk)
        self._calls = PostgrestCalls(desk)

    async def handle(self, request: Request) -> Reply:
        """The reply to any request below the prefix.

        Raises:
            ServerError: The request is refused, by name.
            RouterError: So it is by the router.
        """
        schema = self._desk.catalogue.schema
        prefer = preferences_of(request.headers)
        if prefer is not NONE:
            prefer = _heeded(prefer, tx_override=self._desk.limits.tx_override)
        if request.path.startswith(_CALLS):
            if request.method == "OPTIONS":
                return self._calls.options(request, schema)
            return await self._calls.call(request, schema, prefer)
        if request.method in {"GET", "HEAD"}:
            return await self._reads.rows(request, schema, prefer)
        if request.method == "OPTIONS":
            return self._reads.options(request, schema)
        target = target_of(request, profile_of(request), schema)
        match request.method:
            case "POST":
                return await self._writes.insert(request, target, prefer)
            case "PATCH":
                return await self._writes.update(request, target, prefer)
            case "DELETE":
                return await self._writes.delete(request, target, prefer)
            case _:
                return await self._writes.replace(request, target, prefer)


def _heeded(prefer: Preferences, *, tx_override: bool) -> Preferences:
    """The preferences without one that the operator does not let callers have.

    Raises:
        PreferencesInvalid: A strict client has some that we do not know.
    """
    if prefer.strict and prefer.invalid:
        raise PreferencesInvalid(prefer.invalid)
    if prefer.tx is not None and not tx_override:
        return replace(prefer, tx=None)
    return prefer
