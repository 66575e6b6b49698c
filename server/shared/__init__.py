"""State that all instances share: in this host's memory, in the catalog's database, or in Redis."""

from server.shared.facts import FloorNotLearned, FloorUnpublished, SharedFound, SharedLost
from server.shared.floors import StoredFloors
from server.shared.opening import open_floors
from server.shared.postgres_floors import PostgresFloors
from server.shared.redis_floors import RedisFloors
from server.shared.store import FloorStore

__all__ = [
    "FloorNotLearned",
    "FloorStore",
    "FloorUnpublished",
    "PostgresFloors",
    "RedisFloors",
    "SharedFound",
    "SharedLost",
    "StoredFloors",
    "open_floors",
]
