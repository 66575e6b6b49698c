"""What the moves of a change would cost, asked of the shards that they leave and of moves before."""

from collections.abc import Iterable
from typing import Final

from server.mapchange.applying import Catalogue
from server.mapchange.estimate import Estimate, MovedBefore, Pace, estimated
from server.mapchange.proposal import Proposal
from server.moves import Move, MoveError, Moves, Places, State
from server.tenants.measuring import measure

LOOKED_AT: Final = 200
"""Of the moves made before, the newest: machines and rows change."""


async def cost(catalogue: Catalogue, proposal: Proposal) -> Estimate | None:
    """What the moves of the change would cost; None where nothing moves."""
    if not proposal.moves or proposal.old is None:
        return None
    sources = sorted({move.source for move in proposal.moves})
    sizes = await measure(proposal.old, catalogue.environ, sources)
    try:
        journal = Moves(Places(proposal.old, catalogue.environ)).journal
        pace = Pace.of(moved_before(await journal.all(LOOKED_AT)))
    except MoveError:  # an estimate needs no catalog
        pace = Pace()
    return estimated(proposal.moves, proposal.old, sizes, pace)


def moved_before(moves: Iterable[Move]) -> list[MovedBefore]:
    """What the moves tell that have arrived, and whose row still says when."""
    return [
        MovedBefore(
            int(move.facts.get("bytes", 0)),
            (move.changed_at - move.created_at).total_seconds(),
            float(move.facts["pause_s"]),
        )
        for move in moves
        if move.state is State.MOVED
        and "pause_s" in move.facts
        and move.changed_at is not None
        and move.created_at is not None
    ]
