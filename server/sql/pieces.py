"""Large answers in pieces: the rows of a stream, and what is known of them only at their end."""

from typing import Self

from router import OutputColumn, Stream
from server.sql.answer import ending_text, opening_text, rows_text
from server.sql.question import Layout


class AnswerPieces:
    """The body of an answer in pieces. See `server.exchange.Pieces`."""

    __slots__ = ("_before", "_columns", "_layout", "_row_count", "_served_by", "_stream")

    def __init__(
        self, stream: Stream, columns: tuple[OutputColumn, ...], layout: Layout, *, served_by: bool
    ) -> None:
        self._stream = stream
        self._columns = columns
        self._layout = layout
        self._served_by = served_by
        self._before: str | None = f"{opening_text(columns)}["
        self._row_count = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next piece.

        Raises:
            RouterError: A shard failed.
            ValueTooDeep: A JSON value among the rows nests too deep for arrays.
        """
        before = self._before
        if before is None:
            raise StopAsyncIteration
        try:
            piece = await anext(self._stream)
        except StopAsyncIteration:
            self._before = None
            served = self._stream.served if self._served_by else ()
            opening = before if self._row_count == 0 else ""
            return f"{opening}]{ending_text(self._row_count, served)}".encode()
        self._before = ","
        self._row_count += piece.row_count
        rows = rows_text(f"[{piece.text}]", self._layout)
        return f"{before}{rows[1:-1]}".encode()

    async def close(self) -> None:
        """Free the connections."""
        await self._stream.close()
