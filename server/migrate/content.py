"""Reading from a database what migrations have made there, for the drift check."""

from server.migrate.drift import CONTENT, Thing
from server.migrate.session import Session


async def read_content(session: Session) -> tuple[Thing, ...]:
    """Everything of the database, read in one snapshot; with names that do not depend on a path."""
    async with session.transaction(isolation="repeatable_read", readonly=True):
        await session.execute("set local search_path = ''")
        rows = await session.fetch(CONTENT)
    return tuple(
        Thing(row["kind"], row["name"], row["relation"], row["definition"]) for row in rows
    )
