"""The settings of stored procedures: SQL files that are called by name."""

from dataclasses import dataclass

from server.configuration.declaration import setting
from server.configuration.forms import BOOLEAN, TEXT, integer, positive_duration


@dataclass(frozen=True, slots=True)
class RpcSettings:
    """Procedures at /api/v1/rpc."""

    enabled: bool = setting(
        "FLUXBASE_RPC_ENABLED", BOOLEAN, "true", "whether procedures can be called"
    )
    directory: str = setting(
        "FLUXBASE_RPC_PROCEDURES_DIR",
        TEXT,
        "./rpc",
        "where they are: NAMESPACE/NAME.sql, and NAME.sql for the namespace default; see docs/rpc.md",
    )
    load: bool = setting(
        "FLUXBASE_RPC_AUTO_LOAD_ON_BOOT", BOOLEAN, "true", "whether the directory is read at start"
    )
    default_timeout_s: float = setting(
        "FLUXBASE_RPC_DEFAULT_MAX_EXECUTION_TIME",
        positive_duration(),
        "30s",
        "longest time of a procedure that says nothing else",
    )
    longest_timeout_s: float = setting(
        "FLUXBASE_RPC_MAX_MAX_EXECUTION_TIME",
        positive_duration(),
        "5m",
        "longest time that a procedure may say",
    )
    max_rows: int = setting(
        "FLUXBASE_RPC_DEFAULT_MAX_ROWS",
        integer(1, 100_000),
        "1000",
        "most rows that a procedure may give; with more it fails",
    )
