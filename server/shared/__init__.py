"""State that all instances share: in this host's memory, in the catalog's database, or in Redis."""

from server.shared.facts import FloorNotLearned, FloorUnpublished, SharedFound, SharedLost
from server.shared.floors import StoredFloors
from server.shared.opening import open_floors

__all__ = [
    "FloorNotLearned",
    "FloorUnpublished",
    "SharedFound",
    "SharedLost",
    "StoredFloors",
    "open_floors",
]
