"""What is done in each state of a move, and which state comes after it.

planned → copying → catching_up → verifying → verified → cutover → moved → cleaning → cleaned
   any of the first five → aborting → aborted;  moved → rolling_back → returning → rolled_back
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from server.moves.beginning import begin
from server.moves.copying import catch_up, copy
from server.moves.errors import RowsDiffer, StreamBroken
from server.moves.homes import cut_over, go_back, prepare_way_back, return_home
from server.moves.leaving import abort, clean
from server.moves.preflight import tables_on
from server.moves.request import PAUSABLE, Move, State
from server.moves.streams import backward_stream, forward_stream, slot_lost, timeline
from server.moves.verifying import differences, repair
from server.moves.work import Work

LISTED: Final = 50
"""Differences that an error names."""
MOST_RESTARTS: Final = 5


async def step(work: Work, move: Move) -> Move:
    """The move one state further.

    Raises:
        MoveError: It cannot go on; see the classes.
    """
    if move.state in PAUSABLE:
        work.stop_if_paused(move)
    done = _STEPS.get(move.state)
    return await done(work, move) if done is not None else move


async def verify(work: Work, move: Move) -> Move:
    """Both sides compared row by row while writers go on.

    Raises:
        RowsDiffer: They differ, and are not to be repaired. After a promotion of the target they
            are: its old primary may have confirmed what the new one has not.
    """
    stream = forward_stream(move)
    tables = await tables_on(work.places, move.source)
    key_type = work.places.shard_map.key_type
    async with work.places.primary(move.target) as target:
        on_timeline = await timeline(target)
    promoted = on_timeline != move.facts.get("timeline")
    found, rows = await differences(work.places, stream, tables, move.tenants, key_type)
    if found and (work.repair or promoted):
        await repair(work.places, stream, tables, found, (move.tenants, key_type))
        found, rows = await differences(work.places, stream, tables, move.tenants, key_type)
    if found:
        lines = [str(one) for one in found[:LISTED]]
        if len(found) > LISTED:
            lines.append(f"and {len(found) - LISTED} more")
        raise RowsDiffer(f"{len(found)} rows differ, of {rows}", *lines)
    return await work.journal.step(move, State.VERIFIED, {"rows": rows, "timeline": on_timeline})


async def stream_broken(work: Work, move: Move, error: StreamBroken) -> Move:
    """Begin to copy again if the source's slot was lost with its server; what else broke, is raised.

    Raises:
        StreamBroken: It is not that, or happens again and again.
    """
    copying = {State.COPYING, State.CATCHING_UP, State.VERIFYING, State.VERIFIED, State.CUTOVER}
    restarts = int(move.facts.get("restarts", 0))
    if move.state not in copying or restarts >= MOST_RESTARTS:
        raise error
    async with work.places.primary(move.source) as source:
        lost = await slot_lost(source, forward_stream(move))
    if not lost and move.state is State.CUTOVER:
        async with work.places.primary(move.target) as target:
            if await slot_lost(target, backward_stream(move)):
                return await work.journal.step(move, State.VERIFIED, {"restarts": restarts + 1})
    if not lost:
        raise error
    work.tell(move, note=f"{error}: the copy begins again")
    return await work.journal.step(move, State.COPYING, {"restarts": restarts + 1})


_STEPS: Final[Mapping[State, Callable[[Work, Move], Awaitable[Move]]]] = {
    State.PLANNED: begin,
    State.COPYING: copy,
    State.CATCHING_UP: catch_up,
    State.VERIFYING: verify,
    State.VERIFIED: prepare_way_back,
    State.CUTOVER: cut_over,
    State.CLEANING: clean,
    State.ABORTING: abort,
    State.ROLLING_BACK: go_back,
    State.RETURNING: return_home,
}
"""States without an entry are at rest."""
