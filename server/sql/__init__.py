"""The SQL door: statements and transactions over HTTP, and one at a time over a WebSocket."""

from server.sql.answer import opening_text
from server.sql.answering import Answering
from server.sql.door import SqlDoor
from server.sql.pieces import AnswerPieces
from server.sql.question import Layout, Question
from server.sql.socket import SqlLimits
from server.sql.statements import Statements

__all__ = [
    "AnswerPieces",
    "Answering",
    "Layout",
    "Question",
    "SqlDoor",
    "SqlLimits",
    "Statements",
    "opening_text",
]
