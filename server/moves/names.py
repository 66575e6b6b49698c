"""Names of what moves make on servers: each says which move it belongs to."""

import re
from typing import Final

from server.moves.request import Move

APPLICATION: Final = "fluxshard move"
"""`application_name` of a mover's sessions."""

_NAME: Final = re.compile(r"fluxshard_(?:move|back|keys)_(?P<move>[0-9]+)_(?P<token>[0-9a-f]{10})")


def forward(move: Move) -> str:
    """Publication and slot on the source, subscription on the target."""
    return f"fluxshard_move_{move.id}_{move.token}"


def backward(move: Move) -> str:
    """The same of the stream back."""
    return f"fluxshard_back_{move.id}_{move.token}"


def keys(move: Move) -> str:
    """On both sides: the publication of the tenants' idempotency records, which are only added."""
    return f"fluxshard_keys_{move.id}_{move.token}"


def read_name(name: str) -> tuple[int, str] | None:
    """The move and the token that a name of ours says, else None."""
    match = _NAME.fullmatch(name)
    return (int(match["move"]), match["token"]) if match is not None else None
