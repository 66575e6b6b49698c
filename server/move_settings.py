"""The settings of moves: what a running server does for them."""

from dataclasses import dataclass

from server.configuration.declaration import setting
from server.configuration.forms import BOOLEAN, DURATION


@dataclass(frozen=True, slots=True)
class MoveSettings:
    """Moves of tenants between shards."""

    resume: bool = setting(
        "FLUXSHARD_MOVES_RESUME",
        BOOLEAN,
        "true",
        "whether this server goes on with moves whose process is gone; see docs/moves.md",
    )
    retention_s: float = setting(
        "FLUXSHARD_MOVES_RETENTION",
        DURATION,
        "24h",
        "how long after a move its old rows are kept up to date for a rollback; then this server "
        "cleans them up; 0s: until `fluxshard moves clean`",
    )
