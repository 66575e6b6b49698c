"""Moves of tenants and slots between shards, while they are written to."""

from server.moves.border import server_errors
from server.moves.comparing import Difference
from server.moves.doctor import examine
from server.moves.errors import (
    LeaseLost,
    MapOpposes,
    MoveAway,
    MoveBusy,
    MoveError,
    MovePaused,
    MoveRefused,
    NoSuchMove,
    PauseTooLong,
    RowsDiffer,
    ServerRefused,
    StreamBroken,
    WayBackLost,
    WrongState,
)
from server.moves.examining import Ailment
from server.moves.keeping import KeptMoves, MoveFact, MoveKeeper, MoveKept, MoveNotKept
from server.moves.pinning import newest_map, pin_at_home, unpin_at_home
from server.moves.request import (
    ABORTABLE,
    ENDED,
    RESTING,
    Abandoned,
    Limits,
    Move,
    MoveRequest,
    Progress,
    State,
)
from server.moves.running import MovePlan, Moves, Outcome, plan_move, run_moves
from server.moves.sessions import Places

__all__ = [
    "ABORTABLE",
    "ENDED",
    "RESTING",
    "Abandoned",
    "Ailment",
    "Difference",
    "KeptMoves",
    "LeaseLost",
    "Limits",
    "MapOpposes",
    "Move",
    "MoveAway",
    "MoveBusy",
    "MoveError",
    "MoveFact",
    "MoveKeeper",
    "MoveKept",
    "MoveNotKept",
    "MovePaused",
    "MovePlan",
    "MoveRefused",
    "MoveRequest",
    "Moves",
    "NoSuchMove",
    "Outcome",
    "PauseTooLong",
    "Places",
    "Progress",
    "RowsDiffer",
    "ServerRefused",
    "State",
    "StreamBroken",
    "WayBackLost",
    "WrongState",
    "examine",
    "newest_map",
    "pin_at_home",
    "plan_move",
    "run_moves",
    "server_errors",
    "unpin_at_home",
]
