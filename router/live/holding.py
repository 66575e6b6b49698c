"""Writes that wait for their shard's primary: a bounded queue, let go in the order they came."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Place:
    """One write's place in the queue; `called` is done when it may go on."""

    __slots__ = ("_queue", "called")

    def __init__(self, queue: "deque[Place]") -> None:
        self._queue = queue
        self.take()

    def take(self) -> None:
        """Wait (again), behind all others."""
        self.called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(self)


class Holding:
    """The writes of one shard that are held, at most so many.

    `hurry` is called with True when the first one comes and with False when the last one leaves:
    while somebody waits, the probes look for a primary more often.
    """

    def __init__(self, most: int, hurry: Callable[[bool], None]) -> None:
        self._most = most
        self._hurry = hurry
        self._inside = 0
        self._queue: deque[Place] = deque()

    def __len__(self) -> int:
        return self._inside

    @property
    def full(self) -> bool:
        """Whether one more would be too many."""
        return self._inside >= self._most

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place at the end of the queue; it is given up with the context."""
        self._inside += 1
        if self._inside == 1:
            self._hurry(True)
        place = Place(self._queue)
        try:
            yield place
        finally:
            self._inside -= 1
            if place in self._queue:
                self._queue.remove(place)
            if self._inside == 0:
                self._hurry(False)

    def release(self) -> None:
        """Let all of them go on, the first one first."""
        while self._queue:
            called = self._queue.popleft().called
            if not called.done():
                called.set_result(None)
