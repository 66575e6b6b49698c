"""The moves of a change: checked before it, run after what moves nothing is in force, then finished."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from server.mapchange.applying import Catalogue, Why, apply_change, stored_map
from server.mapchange.proposal import Proposal, propose_change
from server.moves import (
    ENDED,
    Limits,
    MoveRequest,
    Moves,
    Outcome,
    Places,
    State,
)
from server.moves.running import Observe
from shardmap import MapUnavailable, Problem, Relocation, ShardMap, SlotsMove, TenantMove


def requests_of(moves: Iterable[Relocation]) -> tuple[tuple[MoveRequest, ...], ...]:
    """What movers are asked, in rounds: slots move when the tenants have that move by themselves."""
    tenants, slots = [], []
    for move in moves:
        match move:
            case TenantMove(tenant, source, target):
                tenants.append(MoveRequest(target, tenants=(tenant,), source=source))
            case SlotsMove(numbers, source, target):
                slots.append(MoveRequest(target, slots=numbers, source=source))
    return tuple(tuple(one) for one in (tenants, slots) if one)


async def hindrances(catalogue: Catalogue, proposal: Proposal) -> tuple[Problem, ...]:
    """What would break the moves, or a way back that is still open. Nothing is changed.

    Raises:
        MoveError: A shard does not answer, or something is elsewhere than the map says.
    """
    old = proposal.old
    if old is None:
        return ()
    places = Places(old, catalogue.environ)
    found = list(await _ways_back(places, old, proposal.next))
    moves = Moves(places)
    for round_ in requests_of(proposal.moves):
        for request in round_:
            if request.target in old.shards:
                plans = await moves.plan(request)
                problems = {problem for plan in plans for problem in plan.problems}
                found += [Problem(f"shards.{request.target}", one) for one in sorted(problems)]
    return tuple(dict.fromkeys(found))


async def run(
    catalogue: Catalogue, moves: Sequence[Relocation], limits: Limits, observe: Observe
) -> tuple[Outcome, ...]:
    """Carry the moves out; a round that failed keeps the next from being begun.

    Raises:
        MoveError: The preflight found problems, or a server is away. What was begun is in the
            journal, and can be gone on with.
    """
    outcomes: tuple[Outcome, ...] = ()
    for round_ in requests_of(moves):
        mover = Moves(Places(await _newest(catalogue), catalogue.environ), limits)
        plans = [plan for request in round_ for plan in await mover.plan(request)]
        outcomes += await mover.run(plans, observe)
        if any(outcome.error is not None for outcome in outcomes):
            break
    return outcomes


async def finish(catalogue: Catalogue, proposal: Proposal, why: Why, observe: Observe) -> ShardMap:
    """After all moves: lift the pins that were to be lifted. The map in force.

    A tenant without its pin has no way back, as after `fluxshard unpin`.

    Raises:
        MoveError: A way back cannot be ended.
        MapConflict: Somebody else has applied a map meanwhile; pins are as they were.
    """
    newest = await _newest(catalogue)
    if proposal.stages is None:
        return newest
    last = replace(proposal.stages.finished(newest), shards=newest.shards)
    lifted = newest.pins.keys() - last.pins.keys()
    moves = Moves(Places(newest, catalogue.environ))
    for move in await moves.journal.unfinished():
        if move.state is State.MOVED and set(move.tenants) <= lifted:
            await moves.clean(move.id, observe)
    ending = propose_change(newest, last)
    return await apply_change(catalogue, ending, why) if ending.changed else newest


async def _newest(catalogue: Catalogue) -> ShardMap:
    found = await stored_map(catalogue)
    if found is None:
        raise MapUnavailable("the catalog has no map any more")
    return found


async def _ways_back(places: Places, old: ShardMap, new: ShardMap) -> list[Problem]:
    """Shards that leave the map while moves can still be rolled back to them."""
    leavers = old.shards.keys() - new.shards.keys()
    if not leavers:
        return []
    return [
        Problem(
            f"shards.{shard}",
            f"move {move.id} ({move.title}) has not ended: `fluxshard moves clean {move.id}` ends it"
            if move.state is State.MOVED
            else f"move {move.id} ({move.title}) is {move.state}",
        )
        for move in await Moves(places).journal.unfinished()
        for shard in sorted(leavers & {move.source, move.target})
        if move.state not in ENDED
    ]
