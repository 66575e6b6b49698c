"""Where a server is between start and end, and how many requests it is answering."""


class Lifecycle:
    """Shared by the front (which counts), `/ready` (which tells) and the worker (which drains)."""

    __slots__ = ("draining", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        """Requests that have no response yet."""
        self.draining = False
        """The server is about to end: responses close their connections, `/ready` says 503."""
