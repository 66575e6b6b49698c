"""Who may use the admin API, in what time, and with which arguments."""

import asyncio
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from router import DeadlineExceeded
from server.admin.errors import ArgumentInvalid, OperatorsOnly
from server.exchange import Reply, Request
from server.mapchange.applying import Known, Why
from server.routes import Handler
from shardmap import ShardMap

JSON: Final = "application/json"
NO_STORE: Final = (("Cache-Control", "no-store"),)
_REASON_CHARS: Final = 500


class Operators:
    """Lets the service role in, and says where the catalog is: the map in use knows."""

    def __init__(self, current_map: Callable[[], ShardMap], environ: Mapping[str, str]) -> None:
        self.current_map = current_map
        self.environ = environ

    def only(self, handler: Handler) -> Handler:
        """The handler, for operators alone and within the request's time.

        Raises:
            OperatorsOnly: Anybody else, a service key in a tenant's name included.
            DeadlineExceeded: It took too long; a map that was being applied may be in force.
        """

        @wraps(handler)
        async def guarded(request: Request) -> Reply:
            if not request.principal.service or request.principal.tenant is not None:
                raise OperatorsOnly
            try:
                async with asyncio.timeout(request.deadline.remaining_s()):
                    return await handler(request)
            except TimeoutError as error:
                raise DeadlineExceeded("the catalog and the shards took too long") from error

        return guarded

    def catalogue(self) -> Known:
        """The catalog of the map in use."""
        shard_map = self.current_map()
        return Known((shard_map.catalog, *shard_map.catalog_replicas), self.environ)


def arguments(request: Request) -> Mapping[str, str]:
    """The parameters of the address, each once.

    Raises:
        ArgumentInvalid: One is given twice.
    """
    found = parse_qs(request.query, keep_blank_values=True)
    for name, values in found.items():
        if len(values) > 1:
            raise ArgumentInvalid(name[:40], "is given twice")
    return {name: values[0] for name, values in found.items()}


def number(given: Mapping[str, str], name: str, allowed: range) -> int | None:
    """A whole number among the arguments; None when it is not there.

    Raises:
        ArgumentInvalid: It is no such number.
    """
    text = given.get(name)
    if text is None:
        return None
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
    if value is None or value not in allowed:
        raise ArgumentInvalid(name, f"must be from {allowed.start} to {allowed.stop - 1}")
    return value


def why(request: Request, reason: str | None) -> Why:
    """Who changes something, and why.

    Raises:
        ArgumentInvalid: No reason is given, or one that does not fit into a line.
    """
    if not reason or len(reason) > _REASON_CHARS or not reason.isprintable():
        raise ArgumentInvalid("reason", f"must say why, in one line of at most {_REASON_CHARS}")
    return Why(request.principal.session, "api", reason)


def members(request: Request) -> dict[str, Any]:
    """The body, which is a JSON object; an empty one if there is none.

    Raises:
        ArgumentInvalid: It is something else.
    """
    if not request.body:
        return {}
    try:
        found = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise ArgumentInvalid("body", "must be JSON") from error
    if not isinstance(found, dict):
        raise ArgumentInvalid("body", "must be a JSON object")
    return found


def json_reply(body: object, status: int = 200, *headers: tuple[str, str]) -> Reply:
    """An answer that nobody may keep."""
    return Reply(status, orjson.dumps(body), JSON, (*NO_STORE, *headers))
