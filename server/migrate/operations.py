"""What `fluxshard migrate` does, from the map and the files to the databases and back."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from server.migrate.apply import Patience, Progress, Runner, Unknown
from server.migrate.cluster import Cluster, opened
from server.migrate.content import read_content
from server.migrate.drift import Difference, broken, differences, misplaced
from server.migrate.errors import HistoryRefused, LintRefused
from server.migrate.files import Migration
from server.migrate.findings import Finding
from server.migrate.ledger import adopt
from server.migrate.lint import lint
from server.migrate.places import Place, databases_of
from server.migrate.plan import (
    Ledgers,
    Work,
    history_problems,
    pending_versions,
    plan_down,
    plan_up,
)
from server.migrate.routing import RoutedScript, route_all
from server.migrate.session import LoginSource, speaking_to
from shardmap import ShardMap


@dataclass(frozen=True, slots=True)
class Site:
    """The cluster and the files. `login` is the server's own, `admin` the one that migrates."""

    shard_map: ShardMap
    migrations: tuple[Migration, ...]
    login: LoginSource
    admin: LoginSource
    exposed: tuple[str, ...]
    by: str
    """Who migrates, for the ledgers and for others who find the lock taken."""
    has_files: bool = True
    """False: there is no directory, so that nothing can be missing from it."""

    @property
    def label(self) -> str:
        """The name of the sessions."""
        return f"fluxshard migrate {self.by}"


@dataclass(frozen=True, slots=True)
class Options:
    """How to migrate. `to`: the last version, None: all."""

    to: int | None = None
    allow: frozenset[str] = frozenset()
    patience: Patience = field(default_factory=Patience)
    wait_s: float = 0.0
    """How long to wait for somebody else who is migrating."""
    unknown: Unknown = Unknown.REFUSE


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be done, and what the lint says of it."""

    works: tuple[Work, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What each database has, and in what that contradicts the files."""

    ledgers: Ledgers
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """In what databases differ from each other and from the shard map."""

    differences: tuple[Difference, ...]
    problems: tuple[str, ...]

    @property
    def drifted(self) -> bool:
        """Whether anything is not as it should be."""
        return bool(self.differences or self.problems)


Report = Callable[[Progress], None]


async def survey(site: Site) -> Surveyed:
    """What is applied where."""
    async with _open(site) as cluster:
        ledgers = await cluster.ledgers()
    return Surveyed(ledgers, history_problems(site.migrations, ledgers))


async def planned(site: Site, options: Options, down: int | None = None) -> Planned:
    """What `up` would do now, or `down` for so many versions; nothing is changed."""
    async with _open(site) as cluster:
        return _plan(site, options, cluster, await cluster.ledgers(), down)


async def pending_findings(site: Site, options: Options) -> tuple[Finding, ...]:
    """What the lint says of the versions that some database lacks."""
    async with _open(site) as cluster:
        ledgers = await cluster.ledgers()
    ups, _ = route_all(site.shard_map, site.migrations)
    return _findings(site, ups, pending_versions(site.migrations, ledgers, options.to), options)


async def migrate(site: Site, options: Options, report: Report, down: int | None = None) -> Planned:
    """Do what is pending, or undo the newest `down` versions; returns what was done.

    Raises:
        MigrateError: Each kind of it, see there; what is done is in the ledgers.
        DatabaseNotPrepared: The login role lacks the right to prepare a database.
    """
    async with _open(site) as cluster:
        await cluster.lock(options.wait_s)
        await cluster.prepare(site.login, site.exposed, site.label)
        plan = _plan(site, options, cluster, await cluster.ledgers(), down)
        blocking = [finding for finding in plan.findings if finding.blocks]
        if blocking:
            raise LintRefused(blocking)
        runner = Runner(cluster.sessions, options.patience, site.by, report, options.unknown)
        for work in plan.works:
            await runner.run(work)
        if plan.works and down is None:
            await cluster.grant(site.exposed)
        return plan


async def baseline(site: Site, version: int, wait_s: float) -> tuple[Migration, ...]:
    """Note the versions up to this one as applied where they are not noted; nothing of them is run.

    For databases whose tables were made by other tools. Returns the versions that some lacked.

    Raises:
        HistoryRefused: There is no such version, or files and ledgers contradict each other.
    """
    if version not in {migration.version for migration in site.migrations}:
        raise HistoryRefused(f"there is no file of version {version}")
    async with _open(site) as cluster:
        await cluster.lock(wait_s)
        await cluster.prepare(site.login, site.exposed, site.label)
        ledgers = await cluster.ledgers()
        problems = history_problems(site.migrations, ledgers)
        if problems:
            raise HistoryRefused(*problems)
        noted: dict[int, Migration] = {}
        for database in cluster.databases:
            session = cluster.sessions[database.name]
            with speaking_to(database, session):
                ledger = ledgers[database.name]
                for migration in site.migrations:
                    if migration.version <= version and migration.version not in ledger:
                        noted[migration.version] = migration
                        await adopt(session, migration, site.by)
    return tuple(noted[number] for number in sorted(noted))


async def check(site: Site) -> Checked:
    """Compare the schemas of all shards, and of all databases with the shard map."""
    async with _open(site) as cluster:
        contents = {}
        for database in cluster.databases:
            session = cluster.sessions[database.name]
            with speaking_to(database, session):
                contents[database.name] = await read_content(session)
        ledgers = await cluster.ledgers()
    catalog = cluster.databases[0].name
    shards = {
        database.name: contents[database.name]
        for database in cluster.databases
        if Place.SHARDS in database.places
    }
    return Checked(
        differences(shards, site.shard_map),
        (
            *broken(contents),
            *misplaced(contents, site.shard_map, catalog),
            *_uneven(ledgers),
            *(history_problems(site.migrations, ledgers) if site.has_files else ()),
        ),
    )


def offline_findings(
    shard_map: ShardMap,
    migrations: Sequence[Migration],
    *,
    after: int | None,
    allow: Collection[str],
) -> tuple[Finding, ...]:
    """What the lint says without any database: of all files, or of those after a version."""
    ups, _ = route_all(shard_map, migrations)
    chosen = [routed for version, routed in ups.items() if after is None or version > after]
    return lint(chosen, shard_map, allow=allow, batch=after is not None)


@asynccontextmanager
async def _open(site: Site) -> AsyncIterator[Cluster]:
    async with opened(databases_of(site.shard_map), site.admin, site.label) as cluster:
        yield cluster


def _plan(
    site: Site, options: Options, cluster: Cluster, ledgers: Ledgers, down: int | None
) -> Planned:
    ups, downs = route_all(site.shard_map, site.migrations)
    if down is not None:
        return Planned(plan_down(site.migrations, downs, ledgers, cluster.databases, down))
    works = plan_up(site.migrations, ups, ledgers, cluster.databases, options.to)
    pending = pending_versions(site.migrations, ledgers, options.to)
    return Planned(works, _findings(site, ups, pending, options))


def _findings(
    site: Site, ups: Mapping[int, RoutedScript], pending: Collection[int], options: Options
) -> tuple[Finding, ...]:
    chosen = [routed for version, routed in ups.items() if version in pending]
    return lint(chosen, site.shard_map, allow=options.allow, batch=True)


def _uneven(ledgers: Ledgers) -> tuple[str, ...]:
    """Versions that only some databases have."""
    every = {version for ledger in ledgers.values() for version in ledger}
    return tuple(
        f"version {version} is not on {', '.join(missing)}: fluxshard migrate up goes on"
        for version in sorted(every)
        if (missing := [name for name, ledger in ledgers.items() if version not in ledger])
    )
