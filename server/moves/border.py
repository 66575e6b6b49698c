"""Where errors of maps and of servers become errors of moves: each is told to the operator by its name."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from server.moves.errors import MapOpposes, MoveAway, MoveError, ServerRefused
from shardmap import CredentialsUnavailable, MapUnavailable, ShardMapError


@contextmanager
def server_errors() -> Iterator[None]:
    """What a server refuses in the context is an error of the move.

    Raises:
        ServerRefused: PostgreSQL refused a statement.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        raise ServerRefused(f"{error.sqlstate}: {error}") from error


@contextmanager
def foreign_errors() -> Iterator[None]:
    """The same for what the map refuses, too.

    Raises:
        ServerRefused: As above.
        MapOpposes: The map does not allow it, or is another one by now.
        MoveAway: The catalog does not answer.
    """
    try:
        with server_errors():
            yield
    except (MapUnavailable, CredentialsUnavailable) as error:
        raise MoveAway(f"{error.code} {error}") from error
    except ShardMapError as error:
        raise MapOpposes(f"{error.code} {error}") from error


def first_of(failures: "ExceptionGroup[Exception]", *before: type[MoveError]) -> Exception:
    """One error of a group: one of those that lead to others, else the first."""
    flat = [
        first_of(failure, *before) if isinstance(failure, ExceptionGroup) else failure
        for failure in failures.exceptions
    ]
    return next((one for one in flat if isinstance(one, before)), flat[0])
