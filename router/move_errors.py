"""The errors of tenants on the move, in the tree of `router.errors`.

ShardUnavailable                503  nothing was run; safe to repeat
├── UnitRefused                      the shard's fence does not let the statement in
│   ├── UnitMoved               P220 its tenant is elsewhere by now, or the map is older than the fence
│   └── UnitHeld                P221 its tenant's home changes right now
└── MoveUnderWay                P222 a form that cannot leave out rows of tenants on the move

Codes are public, documented in docs/errors.md and never reused.
"""

from router.errors import ShardUnavailable
from router.fences import Fence
from shardmap import ShardId


class UnitRefused(ShardUnavailable):
    """The fence of a unit did not let a statement in: nothing of it ran.

    `fence` is what is known of the unit, and `probed` whether a probe said it, not the shard just now.
    """

    hint = "A tenant is on the move; repeat it."

    def __init__(
        self, shard: ShardId, message: str, fence: Fence | None = None, *, probed: bool = False
    ) -> None:
        super().__init__(shard, message)
        self.fence = fence
        self.probed = probed


class UnitMoved(UnitRefused):
    """The tenant's home is elsewhere, or the map that was used is older than the shard's fence."""

    code = "P220"


class UnitHeld(UnitRefused):
    """The tenant's home changes at this moment; in a moment it is known where."""

    code = "P221"


class MoveUnderWay(ShardUnavailable):
    """The statement concerns all tenants, in a form that would count one on the move twice."""

    code = "P222"
    hint = "Name the tenant, or repeat it when the move has ended."
