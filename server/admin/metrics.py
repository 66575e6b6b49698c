"""The metrics of all workers, on the API port and on a port of their own."""

from server.exchange import Reply, Request
from server.observe.board import Board
from server.observe.exposition import CONTENT_TYPE
from server.routes import Entry, Route


class Metrics:
    """Serves the text that Prometheus reads."""

    def __init__(self, board: Board, path: str) -> None:
        self._board = board
        self._path = path

    def route(self) -> Route:
        """Their path."""
        return Route("GET", self._path, self.metrics, entry=Entry.OPEN)

    def own_port_routes(self) -> tuple[Route, ...]:
        """What the port of their own serves: them, and a health check that is plain text."""
        return (self.route(), Route("GET", "/health", self.health, entry=Entry.OPEN))

    async def metrics(self, _: Request) -> Reply:
        """The numbers of this moment; those of other workers are up to a second older."""
        return Reply(200, self._board.text(), CONTENT_TYPE)

    async def health(self, _: Request) -> Reply:
        """That the port answers."""
        return Reply(200, b"OK", "text/plain; charset=utf-8")
