"""A response whose body comes in pieces: sent as the client takes them, broken off when one fails."""

from collections.abc import Callable

from server.exchange import Pieces
from server.front.connection import Connection, Incoming, Outgoing

Ended = Callable[[int, bool, Exception | None], None]
"""Told of the bytes of body that were sent, whether they are all, and if not what broke it off.

Neither: the client has left.
"""


class OutgoingPieces(Outgoing):
    """One response in pieces. No piece is asked for before the client has taken the one before.

    `chunked`: in the transfer coding of HTTP/1.1; else the body ends with the connection. `ended`
    is called once, however it ends.
    """

    __slots__ = ("_chunked", "_ended", "_pieces")

    def __init__(
        self, head: bytes, pieces: Pieces, *, chunked: bool, keep_alive: bool, ended: Ended
    ) -> None:
        super().__init__(head, b"", keep_alive=keep_alive)
        self._pieces = pieces
        self._chunked = chunked
        self._ended = ended

    async def prepare(self, request: Incoming) -> None:
        """Send all of it.

        Raises:
            ConnectionResetError: The client has left or is too slow, or the body was broken off.
        """
        sent_bytes, whole = 0, False
        failure: Exception | None = None
        connection = request.protocol
        try:
            connection.put(self.head)
            async for piece in self._pieces:
                if piece:
                    await self._send(connection, piece)
                    sent_bytes += len(piece)
            if self._chunked:
                connection.put(b"0\r\n\r\n")
            whole = True
        except ConnectionError:
            raise
        except Exception as error:
            failure = error
            connection.break_off()
            raise ConnectionResetError("the response was broken off") from error
        finally:
            try:
                await self._pieces.close()
            finally:
                self._ended(sent_bytes, whole, failure)

    async def _send(self, connection: Connection, piece: bytes) -> None:
        if self._chunked:
            connection.put(b"%x\r\n" % len(piece), piece, b"\r\n")
        else:
            connection.put(piece)
        if connection.writing_paused:
            await connection.taken()
