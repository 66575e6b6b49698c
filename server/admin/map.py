"""`/api/v1/admin/map`: the shard map read, planned and changed over HTTP, as the command line does."""

from dataclasses import asdict
from typing import Any, Final

from server.admin.errors import NotThere, PreconditionFailed, PreconditionMissing
from server.admin.operator import NO_STORE, Operators, arguments, json_reply, number, why
from server.exchange import Reply, Request
from server.mapchange.applying import Looked, apply_change, look_at, opened, stored_map
from server.mapchange.costing import cost
from server.routes import BodyKind, Route
from shardmap import (
    AuditLog,
    AuditRecord,
    CatalogSource,
    InvalidMap,
    MapConflict,
    MapRefused,
    Problem,
    ShardMap,
    changes_between,
    changes_document,
    content_hash,
    document_schema,
    read_map,
    write_json,
    write_yaml,
)

PATH: Final = "/api/v1/admin"
_YAML: Final = "application/yaml"
_EPOCHS: Final = range(1, 2**62)
_MOVES: Final = (
    "tenants would change their home: move them first (POST moves), or use `fluxshard map apply`"
)
_LIMITS: Final = range(1, 10_001)


class MapDoor:
    """Answers from the catalog, never from the map in use, which may be moments older."""

    def __init__(self, operators: Operators) -> None:
        self._operators = operators

    def routes(self) -> tuple[Route, ...]:
        """Its paths."""
        only = self._operators.only
        return (
            Route("GET", f"{PATH}/map", only(self.get)),
            Route("PUT", f"{PATH}/map", only(self.put), body=BodyKind.ADMIN),
            Route("POST", f"{PATH}/map/plan", only(self.plan), body=BodyKind.ADMIN),
            Route("GET", f"{PATH}/map/history", only(self.history)),
            Route("GET", f"{PATH}/map/diff", only(self.diff)),
            Route("GET", f"{PATH}/map/schema", only(self.schema)),
            Route("GET", f"{PATH}/audit", only(self.audit)),
        )

    async def get(self, request: Request) -> Reply:
        """The map in force, or of `?epoch=`: as JSON, or as YAML if that is accepted."""
        epoch = number(arguments(request), "epoch", _EPOCHS)
        found = await self._at(epoch)
        tag = entity_tag(found)
        if request.headers.get("If-None-Match") == tag:
            return Reply(304, headers=(("ETag", tag),))
        headers = (*NO_STORE, ("ETag", tag), ("Vary", "Accept"))
        if "yaml" in request.headers.get("Accept", ""):
            return Reply(200, write_yaml(found).encode(), _YAML, headers)
        return Reply(200, write_json(found).encode(), "application/json", headers)

    async def put(self, request: Request) -> Reply:
        """Put the body in force as the next epoch, if the map of `If-Match` still is.

        Raises:
            PreconditionMissing: There is no `If-Match`.
            PreconditionFailed: Another map is in force.
            MapRefused: The change, or what the servers say to it, has problems.
        """
        because = why(request, arguments(request).get("reason"))
        expected = request.headers.get("If-Match")
        if expected is None:
            raise PreconditionMissing
        catalogue = self._operators.catalogue()
        old = await self._stored()
        if expected != entity_tag(old):
            raise PreconditionFailed(old.epoch, entity_tag(old))
        looked = await look_at(catalogue, old, _read(request, old))
        if looked.problems:
            raise MapRefused(looked.problems)
        if looked.proposal.moves:
            raise MapRefused([Problem("slots", _MOVES)])
        if not looked.proposal.changed:
            return json_reply(_applied(old, looked), 200, ("ETag", entity_tag(old)))
        try:
            applied = await apply_change(catalogue, looked.proposal, because)
        except MapConflict as error:
            newest = await self._stored()
            raise PreconditionFailed(newest.epoch, entity_tag(newest)) from error
        return json_reply(_applied(applied, looked), 200, ("ETag", entity_tag(applied)))

    async def plan(self, request: Request) -> Reply:
        """What applying the body would change and cost, and what of it would be refused."""
        catalogue = self._operators.catalogue()
        old = await self._stored()
        looked = await look_at(catalogue, old, _read(request, old))
        estimate = await cost(catalogue, looked.proposal)
        return json_reply(
            {
                **looked.proposal.document(),
                "refused": [asdict(problem) for problem in looked.problems],
                "warnings": _warnings(looked),
                "estimate": estimate.document() if estimate is not None else None,
            },
            200,
            ("ETag", entity_tag(old)),
        )

    async def history(self, request: Request) -> Reply:
        """Who applied which epoch, when and why, the newest first."""
        limit = number(arguments(request), "limit", _LIMITS) or 1000
        async with opened(self._operators.catalogue(), writable=False) as session:
            records = await CatalogSource(session).history(limit)
        return json_reply([asdict(record) for record in records])

    async def diff(self, request: Request) -> Reply:
        """What the map of epoch `b`, or the one in force, does differently from that of `a`."""
        given = arguments(request)
        before = await self._at(number(given, "a", _EPOCHS))
        after = await self._at(number(given, "b", _EPOCHS))
        changes = changes_document(changes_between(before, after))
        return json_reply({"a": before.epoch, "b": after.epoch, **changes})

    async def schema(self, _: Request) -> Reply:
        """The JSON Schema of the document."""
        return json_reply(document_schema())

    async def audit(self, request: Request) -> Reply:
        """What operators did, the newest first; `before` an id, `action` how its name begins."""
        given = arguments(request)
        limit = number(given, "limit", _LIMITS) or 100
        before = number(given, "before", _EPOCHS)
        async with opened(self._operators.catalogue(), writable=False) as session:
            log = AuditLog(session)
            records = await log.newest(limit, before=before, action=given.get("action"))
        return json_reply([_record(record) for record in records])

    async def _stored(self) -> ShardMap:
        found = await stored_map(self._operators.catalogue())
        if found is None:
            raise NotThere("map")
        return found

    async def _at(self, epoch: int | None) -> ShardMap:
        if epoch is None:
            return await self._stored()
        async with opened(self._operators.catalogue(), writable=False) as session:
            found = await CatalogSource(session).at(epoch)
        if found is None:
            raise NotThere(f"epoch {epoch}")
        return found


def entity_tag(shard_map: ShardMap) -> str:
    """The map's content hash as an ETag."""
    return f'"{content_hash(shard_map)}"'


def _read(request: Request, old: ShardMap) -> ShardMap:
    try:
        text = request.body.decode()
    except UnicodeDecodeError as error:
        raise InvalidMap([Problem("document", "is not UTF-8")]) from error
    return read_map(text, old)


def _applied(shard_map: ShardMap, looked: Looked) -> dict[str, Any]:
    return {
        "epoch": shard_map.epoch,
        "content_hash": content_hash(shard_map),
        "warnings": _warnings(looked),
    }


def _warnings(looked: Looked) -> list[str]:
    return [
        *(str(finding) for finding in looked.findings.warnings),
        *(f"{finding}; fluxshard migrate makes it" for finding in looked.findings.awaited),
        *(f"{shard} was not checked: {reason}" for shard, reason in looked.unchecked.items()),
    ]


def _record(record: AuditRecord) -> dict[str, Any]:
    return {"id": record.id, "at": record.at.isoformat(), **asdict(record.entry)}
