"""What the moves of a change would cost, asked of the shards that they leave."""

from server.mapchange.applying import Catalogue
from server.mapchange.estimate import Estimate, Pace, estimated
from server.mapchange.proposal import Proposal
from server.tenants.measuring import measure


async def cost(catalogue: Catalogue, proposal: Proposal) -> Estimate | None:
    """What the moves of the change would cost; None where nothing moves."""
    if not proposal.moves or proposal.old is None:
        return None
    sources = sorted({move.source for move in proposal.moves})
    sizes = await measure(proposal.old, catalogue.environ, sources)
    return estimated(proposal.moves, proposal.old, sizes, Pace())
