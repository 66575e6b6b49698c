"""What became of one operation of a workload."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple


class Outcome(NamedTuple):
    """One operation, answered or not."""

    kind: str
    """What it was: `read`, `write`, `scan`; figures are kept for each."""
    error: str = ""
    """Empty: it went well. Else the code of the answer, or the name of what went wrong."""
    served: str = ""
    """Who answered, as the API says it (`X-Served-By`); empty where nobody asks."""


Work = Callable[[], Awaitable[Outcome]]
"""One client: each call does its next operation. Calls of one client never overlap."""
