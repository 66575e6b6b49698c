"""What a worker is given by whoever starts it."""

import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """One of the worker processes of a server.

    `index` is in [0, count) and is taken over by a worker's successor; `number` never is.
    """

    index: int
    count: int
    number: int
    directory: Path
    """Shared by the workers, for as long as the server runs."""
    api: socket.socket
    metrics: socket.socket | None
    lifeline: int | None = None
    """A file descriptor that reports its end when the supervisor is gone."""
