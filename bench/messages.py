"""Where requests end in what a PostgreSQL client sends; decides, moves no bytes.

A request is everything up to a Sync or a simple Query: the server answers it with one
ReadyForQuery, and nothing of the next one begins before. (PostgreSQL documentation, "Message Flow".)
"""

from typing import Final, NamedTuple

SYNC: Final = ord("S")
QUERY: Final = ord("Q")
FUNCTION_CALL: Final = ord("F")
ENDS: Final = frozenset({SYNC, QUERY, FUNCTION_CALL})
"""Messages that end a request."""

AT_ONCE: Final = frozenset(b"pdcfXH")
"""Messages that belong to no request of their own: passwords, COPY data in answer to what the
server asked for, Terminate; and Flush, which asks for what there is so far."""

SSL_REQUEST: Final = 80877103
GSS_REQUEST: Final = 80877104


class Cut(NamedTuple):
    """A piece of what a client sent."""

    data: bytes
    counted: bool
    """Whether it is a request, which takes a turn; else it passes at once."""


class Requests:
    """Cuts a client's stream at the ends of requests."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._started = False

    def feed(self, data: bytes) -> list[Cut]:
        """What has become whole."""
        buffer = self._buffer
        buffer += data
        found: list[Cut] = []
        if not self._started and not self._start(found):
            return found
        at = self._at
        while len(buffer) - at >= 5:
            length = int.from_bytes(buffer[at + 1 : at + 5]) + 1
            if len(buffer) - at < length:
                break
            kind = buffer[at]
            at += length
            if kind in ENDS or kind in AT_ONCE:
                found.append(Cut(bytes(buffer[:at]), kind in ENDS))
                del buffer[:at]
                at = 0
        self._at = at
        return found

    def _start(self, found: list[Cut]) -> bool:
        """Before the first message there are startup packets, which have no kind."""
        buffer = self._buffer
        while len(buffer) >= 8:
            length = int.from_bytes(buffer[:4])
            if len(buffer) < length:
                return False
            code = int.from_bytes(buffer[4:8])
            found.append(Cut(bytes(buffer[:length]), counted=False))
            del buffer[:length]
            if code not in {SSL_REQUEST, GSS_REQUEST}:
                self._started = True
                return True
        return False
