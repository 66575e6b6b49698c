"""Where a server is between start and end, and how many requests it is answering."""

import asyncio


class Lifecycle:
    """Shared by the front (which counts), `/ready` (which tells) and the worker (which drains)."""

    __slots__ = ("_settled", "draining", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        """Requests that have no response yet."""
        self.draining = False
        """The server is about to end: responses close their connections, `/ready` says 503."""
        self._settled = asyncio.Event()

    def begin(self) -> None:
        """A request has come."""
        self.in_flight += 1

    def end(self) -> None:
        """A request has its response, or its client has left."""
        self.in_flight -= 1
        if self.draining and not self.in_flight:
            self._settled.set()

    async def settled(self) -> None:
        """Wait, while draining, until no request is without a response."""
        if self.in_flight:
            self._settled.clear()
            await self._settled.wait()
