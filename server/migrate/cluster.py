"""All databases of a cluster, with a session on the primary of each: looked at, or locked to change."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from router import prepare_database
from server.migrate.ledger import install_ledger, read_ledger
from server.migrate.locks import LEFT_BEHIND_S, take_lock
from server.migrate.places import Database
from server.migrate.plan import Ledgers
from server.migrate.session import LoginSource, Session, session_on, speaking_to
from shardmap import ShardId


@dataclass(frozen=True, slots=True)
class Cluster:
    """The databases in order, the catalog's first, and a session on each."""

    databases: tuple[Database, ...]
    sessions: Mapping[ShardId, Session]

    async def ledgers(self) -> Ledgers:
        """What each database has."""
        found = {}
        for database in self.databases:
            session = self.sessions[database.name]
            with speaking_to(database, session):
                found[database.name] = await read_ledger(session)
        return found

    async def lock(self, wait_s: float) -> None:
        """Keep everybody else from migrating until the sessions end.

        Raises:
            MigrationLocked: Somebody else is at it, who is named.
        """
        for position, database in enumerate(self.databases):
            session = self.sessions[database.name]
            patience_s = wait_s if position == 0 else max(wait_s, LEFT_BEHIND_S)
            with speaking_to(database, session):
                await take_lock(session, database.name, patience_s)

    async def prepare(self, login: LoginSource, exposed: Sequence[str], label: str) -> None:
        """Make roles, helper functions and ledgers where they are missing.

        `login` is the server's own: what it prepares, it can use. Grants on tables that another
        role has made come from `grant`.
        """
        for database in self.databases:
            async with session_on(database, login, label) as session:
                with speaking_to(database, session):
                    await prepare_database(session, exposed=exposed, name=database.name)
            session = self.sessions[database.name]
            with speaking_to(database, session):
                await install_ledger(session)

    async def grant(self, exposed: Sequence[str]) -> None:
        """Grant the service role what the sessions' own role has made."""
        for database in self.databases:
            session = self.sessions[database.name]
            with speaking_to(database, session):
                await prepare_database(session, exposed=exposed, name=database.name)


@asynccontextmanager
async def opened(
    databases: Sequence[Database], login: LoginSource, label: str
) -> AsyncIterator[Cluster]:
    """Sessions on all primaries, closed with the context.

    Raises:
        DatabaseAway: One of them cannot be reached, or is not who it should be.
    """
    async with AsyncExitStack() as stack:
        sessions = {
            database.name: await stack.enter_async_context(session_on(database, login, label))
            for database in databases
        }
        yield Cluster(tuple(databases), sessions)
