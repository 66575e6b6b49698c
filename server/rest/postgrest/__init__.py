"""The PostgREST dialect under /rest/v1."""

from typing import Final

from server.exchange import Reply, Request
from server.rest.desk import Desk
from server.rest.errors import FeatureMissing, PreferencesInvalid
from server.rest.postgrest.paths import PREFIX, profile_of, target_of
from server.rest.postgrest.reads import PostgrestReads
from server.rest.postgrest.rpc import PostgrestCalls
from server.rest.postgrest.writes import PostgrestWrites
from server.rest.prefer import Preferences, preferences

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
        prefer = preferences(request.headers.get("Prefer"))
        _check(prefer, request.method)
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


def _check(prefer: Preferences, method: str) -> None:
    """Refuses what a strict client does not know, and what would change the outcome unseen."""
    if prefer.strict and prefer.invalid:
        raise PreferencesInvalid(prefer.invalid)
    if prefer.timezone is not None:
        raise FeatureMissing("Prefer: timezone")
    if method in {"GET", "HEAD", "OPTIONS"}:
        return
    if prefer.tx == "rollback":
        raise FeatureMissing("Prefer: tx=rollback")
    if prefer.strict and prefer.max_affected is not None and method in {"PATCH", "DELETE"}:
        raise FeatureMissing("Prefer: max-affected")
