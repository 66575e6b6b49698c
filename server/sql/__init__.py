"""The SQL door: statements and transactions over HTTP, and one at a time over a WebSocket."""

from server.sql.door import SqlDoor
from server.sql.socket import SqlLimits
from server.sql.statements import Statements

__all__ = ["SqlDoor", "SqlLimits", "Statements"]
