"""`/api/v1/admin/moves`: moves begun and steered over HTTP, their progress as server-sent events.

Moves run as tasks of this instance. When it ends, the journal keeps them, and any other instance or
`fluxshard moves resume` goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import orjson

from router import TaskOwner
from server.admin.errors import ArgumentInvalid, MoveNotPossible, NotThere
from server.admin.map import PATH
from server.admin.operator import NO_STORE, Operators, json_reply, members, why
from server.exchange import Reply, Request
from server.mapchange.applying import Why, note, stored_map
from server.moves import (
    ABORTABLE,
    RESTING,
    Limits,
    Move,
    MoveAway,
    MoveError,
    MoveRequest,
    Moves,
    NoSuchMove,
    Places,
    Progress,
    State,
)
from server.routes import BodyKind, Route
from shardmap import (
    AuditEntry,
    MapUnavailable,
    ShardId,
    ShardMap,
    parse_ranges,
    tenant_id,
)

T = TypeVar("T")

EVENTS_EVERY_S: Final = 0.5
"""Between looks at the journal, for those who listen."""
KEEP_ALIVE_S: Final = 15.0
"""After so long a silence a comment is sent, so that proxies keep the connection."""

Observe = Callable[[Progress], None]
Deed = Callable[[Moves, int, Observe], Awaitable[Move]]


class MovesDoor:
    """Knows the progress of the moves of this instance, and reads the journal for all others."""

    def __init__(self, operators: Operators, tasks: TaskOwner) -> None:
        self._operators = operators
        self._tasks = tasks
        self._progress: dict[int, Progress] = {}

    def routes(self) -> tuple[Route, ...]:
        """Its paths."""
        only = self._operators.only
        moves = f"{PATH}/moves"
        return (
            Route("GET", moves, only(self.list)),
            Route("POST", moves, only(self.start), body=BodyKind.ADMIN),
            Route("GET", f"{moves}/events", only(self.events)),
            Route("GET", f"{moves}/{{move}}", only(self.show)),
            Route("POST", f"{moves}/{{move}}/{{deed}}", only(self.steer), body=BodyKind.ADMIN),
        )

    async def list(self, _: Request) -> Reply:
        """The moves of the journal, the newest first."""
        moves = await self._moves()
        found = await _told(moves.journal.all())
        return json_reply([self._document(move) for move in found])

    async def show(self, request: Request) -> Reply:
        """One move, with every transition."""
        moves, number = await self._moves(), _number(request)
        found = await _told(moves.journal.one(number))
        steps = await _told(moves.journal.steps(number))
        return json_reply({**self._document(found), "steps": steps})

    async def start(self, request: Request) -> Reply:
        """Begin moves: `{"to", "tenants" | "slots", "reason", "max_pause_s", "dry_run"}`.

        202 with what was begun; with `dry_run` 200 with what would be.
        """
        body = members(request)
        because = why(request, _text(body, "reason"))
        shard_map = await self._map()
        asked = _asked(body, shard_map)
        pause_s = body.get("max_pause_s", Limits().max_pause_s)
        if not isinstance(pause_s, int | float) or not 0.02 <= pause_s <= 60:
            raise ArgumentInvalid("max_pause_s", "must be from 0.02 to 60")
        moves = Moves(Places(shard_map, self._operators.environ), Limits(max_pause_s=pause_s))
        plans = await _told(moves.plan(asked))
        documents = [plan.document() for plan in plans]
        if body.get("dry_run"):
            return json_reply({"plans": documents})
        problems = [f"{plan.title}: {one}" for plan in plans for one in plan.problems]
        if problems:
            raise MoveNotPossible("V101", problems)
        await self._note(because, "move", ", ".join(plan.title for plan in plans) or "nothing")
        begun = [await _told(moves.begin(plan)) for plan in plans]
        self._tasks.start(self._carried_out(moves, begun), name="moves over HTTP")
        return json_reply({"moves": [move.document() for move in begun]}, 202)

    async def steer(self, request: Request) -> Reply:
        """`pause`, `resume`, `abort`, `rollback`, `clean`: 202; `verify`: what differs.

        The body may say `{"reason"}`.
        """
        number, deed = _number(request), request.params["deed"]
        moves = await self._moves()
        found = await _told(moves.journal.one(number))
        if deed == "verify":
            differing, rows = await _told(moves.compare(number))
            return json_reply({"differences": [str(one) for one in differing], "rows": rows})
        because = why(request, _text(members(request), "reason"))
        if deed == "pause":
            await _told(moves.journal.pause(number))
        elif deed in _DEEDS:
            if found.state not in _ALLOWED.get(deed, frozenset(State)):
                raise MoveNotPossible("V103", [f"move {number} is {found.state}"])
            work = self._kept(_DEEDS[deed](moves, number, self._seen))
            self._tasks.start(work, name=f"move {number}: {deed}")
        else:
            raise NotThere(f"deed {deed[:40]}")
        await self._note(because, f"move {deed}", f"move {number}: {found.title}")
        return json_reply(found.document(), 202)

    async def events(self, _: Request) -> Reply:
        """Each move whenever it changes, from all instances, as server-sent events."""
        moves = await self._moves()
        await _told(moves.journal.unfinished())
        return Reply(
            200, b"", "text/event-stream", NO_STORE, pieces=Events(moves, self._progress.get)
        )

    async def _carried_out(self, moves: Moves, begun: Sequence[Move]) -> None:
        """One after the other: what an instance does beside its requests."""
        for move in begun:
            await self._kept(moves.carry_out(move.id, self._seen))

    async def _kept(self, work: Awaitable[Move]) -> None:
        """Do it. What goes wrong is in the journal, and told from there."""
        with suppress(MoveError):
            await work

    def _seen(self, progress: Progress) -> None:
        if progress.state in RESTING:
            self._progress.pop(progress.move, None)
        else:
            self._progress[progress.move] = progress

    def _document(self, move: Move) -> dict[str, Any]:
        progress = self._progress.get(move.id)
        return {**move.document(), "progress": progress.document() if progress else None}

    async def _note(self, because: Why, action: str, subject: str) -> None:
        entry = AuditEntry(because.actor, because.via, action, subject, because.reason)
        await note(self._operators.catalogue(), entry)

    async def _map(self) -> ShardMap:
        return await stored_map(self._operators.catalogue()) or self._operators.current_map()

    async def _moves(self) -> Moves:
        return Moves(Places(await self._map(), self._operators.environ))


class Events:
    """The body of the events. See `server.exchange.Pieces`."""

    def __init__(self, moves: Moves, progress: Callable[[int], Progress | None]) -> None:
        self._moves = moves
        self._progress = progress
        self._told: dict[int, bytes] = {}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        silent_s = 0.0
        yield b": moves\n\n"
        while True:
            events = [event async for event in self._changed()]
            if events or silent_s >= KEEP_ALIVE_S:
                yield b"".join(events) or b":\n\n"
                silent_s = 0.0
            await asyncio.sleep(EVENTS_EVERY_S)
            silent_s += EVENTS_EVERY_S

    async def _changed(self) -> AsyncIterator[bytes]:
        """What is new since the last look. While the catalog is away that is nothing."""
        try:
            found = await self._moves.journal.all(200)
        except MoveAway:
            return
        first = not self._told
        for move in reversed(found):
            progress = self._progress(move.id)
            data = orjson.dumps(
                {**move.document(), "progress": progress.document() if progress else None}
            )
            before = self._told.get(move.id)
            self._told[move.id] = data
            if before != data and not (first and move.state in RESTING):
                yield b"event: move\nid: %d\ndata: %s\n\n" % (move.id, data)

    async def close(self) -> None:
        """Nothing is held between looks."""


async def _resume(moves: Moves, move: int, observe: Observe) -> Move:
    return await moves.resume(move, observe)


async def _abort(moves: Moves, move: int, observe: Observe) -> Move:
    return await moves.abort(move, observe)


async def _rollback(moves: Moves, move: int, observe: Observe) -> Move:
    return await moves.rollback(move, observe)


async def _clean(moves: Moves, move: int, observe: Observe) -> Move:
    return await moves.clean(move, observe)


_DEEDS: Final[dict[str, Deed]] = {
    "resume": _resume,
    "abort": _abort,
    "rollback": _rollback,
    "clean": _clean,
}
_ALLOWED: Final = {
    "abort": ABORTABLE | {State.ABORTING},
    "rollback": frozenset({State.MOVED, State.ROLLING_BACK, State.RETURNING}),
    "clean": frozenset({State.MOVED, State.CLEANING}),
}
"""Asked again when the deed is done; here, so that who asks is told at once."""


async def _told(work: Coroutine[Any, Any, T]) -> T:
    """The result; what a move says no to, as an answer.

    Raises:
        NotThere: There is no such move.
        MapUnavailable: A shard or the catalog does not answer.
        MoveNotPossible: Anything else.
    """
    try:
        return await work
    except NoSuchMove as error:
        raise NotThere("such move") from error
    except MoveAway as error:
        raise MapUnavailable(str(error)) from error
    except MoveError as error:
        raise MoveNotPossible(error.code, error.lines) from error


def _asked(body: Mapping[str, Any], shard_map: ShardMap) -> MoveRequest:
    """What the body wants to be moved.

    Raises:
        ArgumentInvalid: It does not say what, or whereto.
        InvalidTenantKey: A tenant is no key of the map's type.
    """
    target, tenants, slots = body.get("to"), body.get("tenants"), body.get("slots")
    if not isinstance(target, str):
        raise ArgumentInvalid("to", "must name a shard")
    if isinstance(tenants, list) and slots is None:
        keys = tuple(dict.fromkeys(tenant_id(shard_map.key_type, one) for one in tenants))
        return MoveRequest(ShardId(target), tenants=keys)
    if isinstance(slots, str) and tenants is None:
        try:
            return MoveRequest(ShardId(target), slots=parse_ranges(slots))
        except ValueError as error:
            raise ArgumentInvalid("slots", str(error)) from error
    raise ArgumentInvalid("tenants", "must be a list of keys; or slots a text such as 0-63")


def _number(request: Request) -> int:
    text = request.params["move"]
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise NotThere("such move")
    return int(text)


def _text(body: Mapping[str, Any], name: str) -> str | None:
    found = body.get(name)
    return found if isinstance(found, str) else None
