"""How a transaction is begun: how it is isolated, and whether it may write."""

from enum import StrEnum
from typing import NamedTuple


class Isolation(StrEnum):
    """PostgreSQL's isolation levels, by their names."""

    READ_COMMITTED = "read committed"
    REPEATABLE_READ = "repeatable read"
    SERIALIZABLE = "serializable"


class TransactionOptions(NamedTuple):
    """How a transaction is begun."""

    isolation: Isolation = Isolation.READ_COMMITTED
    read_only: bool = False
