"""A network that can be made bad at run time: between a router and each of its PostgreSQL servers."""

from bench.network.conditions import CLEAR, LOST, Conditions, Link, Way
from bench.network.links import Network, free_ports, open_network

__all__ = [
    "CLEAR",
    "LOST",
    "Conditions",
    "Link",
    "Network",
    "Way",
    "free_ports",
    "open_network",
]
