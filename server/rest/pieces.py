"""Answers in pieces as bodies: the rows of a stream between the brackets of their representation."""

from collections.abc import Callable
from typing import NamedTuple, Self

from router import Stream


class Framing(NamedTuple):
    """What stands before, between and behind the rows, and how the rows of a piece are written.

    Rows are given as they stand within a JSON array.
    """

    opening: str
    separator: str
    closing: str
    empty: str
    """The body when there are no rows."""
    rows: Callable[[str], str] | None = None


ARRAY = Framing("[", ", \n ", "]", "[]")
"""As `json_agg` writes it."""


class RowPieces:
    """The body of a stream. See `server.exchange.Pieces`."""

    __slots__ = ("_before", "_first", "_framing", "_stream")

    def __init__(self, stream: Stream, framing: Framing) -> None:
        self._stream = stream
        self._framing = framing
        self._before: str | None = framing.opening
        self._first = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next piece.

        Raises:
            RouterError: A shard failed.
        """
        before, framing = self._before, self._framing
        if before is None:
            raise StopAsyncIteration
        try:
            piece = await anext(self._stream)
        except StopAsyncIteration:
            self._before = None
            return (framing.empty if self._first else framing.closing).encode()
        self._before, self._first = framing.separator, False
        rows = piece.text if framing.rows is None else framing.rows(piece.text)
        return f"{before}{rows}".encode()

    async def close(self) -> None:
        """Free the connections."""
        await self._stream.close()
