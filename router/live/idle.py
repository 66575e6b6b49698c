"""Idle connections of a pool, on a stack for each role: the warmest is taken next.

So the coldest age out. Nothing here waits, and nothing is sent to a server.
"""

import time
from collections.abc import Iterator
from typing import Final

from router.live.connection import HeldConnection
from router.live.preamble import LOGIN, ROLES

ALWAYS: Final = (*ROLES, LOGIN)
"""Roles whose stacks stay while they are empty; of others there may be many."""


class IdleConnections:
    """Connections that nobody uses; who takes one must look whether it is closed."""

    __slots__ = ("by_role",)

    def __init__(self) -> None:
        self.by_role: dict[str, list[HeldConnection]] = {role: [] for role in ALWAYS}
        """The warmest last. Who needs one at once pops it here."""

    def __len__(self) -> int:
        return sum(map(len, self.by_role.values()))

    def put(self, held: HeldConnection) -> None:
        """The warmest of its role from now on."""
        held.idle_since = time.monotonic()
        self.by_role.setdefault(held.role, []).append(held)

    def coldest(self, other_than: str | None = None) -> HeldConnection | None:
        """The coldest of the role that has most, taken out."""
        stacks = (stack for role, stack in self.by_role.items() if stack and role != other_than)
        stack = max(stacks, key=len, default=None)
        return stack.pop(0) if stack is not None else None

    def all(self) -> Iterator[HeldConnection]:
        """Every one, taken out."""
        for stack in tuple(self.by_role.values()):
            while stack:
                yield stack.pop()

    def aged(self, now: float, idle_time_s: float, surplus: int) -> list[HeldConnection]:
        """Those taken out that are closed or too old, and of the surplus those unused for so long."""
        found: list[HeldConnection] = []
        for role, stack in tuple(self.by_role.items()):
            keep = []
            for held in stack:  # the coldest first
                unused = len(found) < surplus and now - held.idle_since > idle_time_s
                if held.raw.is_closed() or held.expires_at <= now or unused:
                    found.append(held)
                else:
                    keep.append(held)
            stack[:] = keep
            if not keep and role not in ALWAYS:
                del self.by_role[role]
        return found
