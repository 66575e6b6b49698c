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
    waits: int
    """How often a caller waited since the start, …"""
    waited_s: float
    """… for how long in all, …"""
    turned_away: int
    """… and how many found no room to wait in."""
