"""What a pool looks like from outside."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolStanding:
    """The connections of a pool at this moment."""

    open: int
    idle: int
    in_use: int
    waiting: int
    limit: int
    admitted: int
    """How many may be in use now: the limit, or less while the endpoint is slow."""
    limited: int
    """How often that became less, …"""
    waits: int
    """… how often a caller waited since the start, …"""
    waited_s: float
    """… for how long in all, …"""
    turned_away: int
    """… and how many found no room to wait in."""

    def took_too_long(self, name: str, timeout_s: float) -> str:
        """What somebody is told to whom nothing came free in time."""
        within = f"no connection within {max(timeout_s, 0):.3g} s"
        return f"connection pool of {name}: {within} ({self._usage()}, {self.waiting} waiting)"

    def queue_is_full(self, name: str) -> str:
        """What somebody is told who cannot even wait."""
        waiting = f"{self.waiting} requests wait for a connection already"
        return f"connection pool of {name}: {waiting} ({self._usage()})"

    def _usage(self) -> str:
        limited = f", {self.admitted} admitted as it is slow" if self.admitted < self.limit else ""
        return f"{self.in_use} of {self.limit} in use{limited}"
