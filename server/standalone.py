"""One database served as it is, in the place of a PostgREST: its map, and its routes at `/`.

Nothing is stored in the database, so the map lives as long as the server, and every server that
is given the same address makes the same one.
"""

from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from server.exchange import Reply, Request
from server.mapstart import given_cluster
from server.routes import Handler, Route
from server.settings import Settings
from shardmap import ShardMap, first_from

CLUSTER: Final = "standalone"
PREFIX: Final = "/rest/v1"


def standalone_map(settings: Settings) -> ShardMap:
    """The map of a database that has everything.

    Raises:
        InvalidMap: The settings describe no database.
    """
    return first_from(given_cluster(settings), CLUSTER)


def at_root(routes: Iterable[Route]) -> Iterator[Route]:
    """The routes of the PostgREST dialect, at `/` in the place of its own prefix."""
    for route in routes:
        if route.template == PREFIX or route.template.startswith(f"{PREFIX}/"):
            template = route.template.removeprefix(PREFIX) or "/"
            yield replace(route, template=template, handler=_below(route.handler))


def _below(handler: Handler) -> Handler:
    def handle(request: Request) -> Awaitable[Reply]:
        return handler(request._replace(path=f"{PREFIX}{request.path.removesuffix('/')}"))

    return handle
