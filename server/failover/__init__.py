"""A failover by command: who becomes the primary, what could be lost, and how it is done over SQL."""

from server.failover.carrying_out import Done, Streaming
from server.failover.errors import FailoverBroken, FailoverError, FailoverRefused, NotPermitted
from server.failover.facts import ServerFacts
from server.failover.plan import Asked, FailoverPlan, make_plan
from server.failover.servers import Servers

__all__ = [
    "Asked",
    "Done",
    "FailoverBroken",
    "FailoverError",
    "FailoverPlan",
    "FailoverRefused",
    "NotPermitted",
    "ServerFacts",
    "Servers",
    "Streaming",
    "make_plan",
]
