"""What is to be run in which database: the files against the ledgers, or why not.

Pure: ledgers come in as values. A version is done in every database before the next one is begun,
so that no two databases are further apart than one version.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from server.migrate.errors import HistoryRefused, NoWayDown
from server.migrate.files import Directives, Migration, Script, checksum_of
from server.migrate.places import Database
from server.migrate.routing import Routed, RoutedScript
from shardmap import ShardId

_ALONE: Final = frozenset({"call", "do"})
"""In a file with no-transaction these run outside of one: they may commit by themselves."""


class State(StrEnum):
    """How far a version is in one database."""

    APPLYING = "applying"
    APPLIED = "applied"
    REVERTING = "reverting"


class Direction(StrEnum):
    """Whether a version is done or undone."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a ledger. `done`: checksums of the steps that are committed.

    `running`: the step that was begun outside of a transaction, and whose end is not known.
    """

    version: int
    name: str
    checksum: str
    state: State
    steps: int
    done: tuple[str, ...]
    running: str | None
    started_at: datetime
    finished_at: datetime | None
    duration_s: float | None
    by: str


Ledgers = Mapping[ShardId, Mapping[int, Entry]]


@dataclass(frozen=True, slots=True)
class Step:
    """Statements that are committed together with the ledger, or one that runs alone."""

    statements: tuple[Routed, ...]
    transaction: bool

    @property
    def checksum(self) -> str:
        """The hash of what it runs."""
        return checksum_of(one.statement for one in self.statements)


@dataclass(frozen=True, slots=True)
class Work:
    """One version in one database: all steps, of which the first `done` are behind us."""

    migration: Migration
    direction: Direction
    script: Script
    database: Database
    steps: tuple[Step, ...]
    entry: Entry | None

    @property
    def done(self) -> int:
        """How many steps an earlier run has committed."""
        if self.entry is None or self.entry.state is not _UNFINISHED[self.direction]:
            return 0
        return len(self.entry.done)


_UNFINISHED: Final[Mapping[Direction, State]] = {
    Direction.UP: State.APPLYING,
    Direction.DOWN: State.REVERTING,
}


def steps_of(
    statements: Iterable[Routed], directives: Directives, database: Database
) -> tuple[Step, ...]:
    """What of a file runs in one database, cut into what is committed at once."""
    steps: list[Step] = []
    together: list[Routed] = []

    def close() -> None:
        if together:
            steps.append(Step(tuple(together), transaction=True))
            together.clear()

    for one in statements:
        if not one.runs_in(database):
            continue
        alone = one.deed.own_transaction or (
            not directives.in_transaction and one.deed.kind in _ALONE
        )
        if alone or not directives.in_transaction:
            close()
            steps.append(Step((one,), transaction=not alone))
        else:
            together.append(one)
    close()
    return tuple(steps)


def plan_up(
    migrations: Sequence[Migration],
    routed: Mapping[int, RoutedScript],
    ledgers: Ledgers,
    databases: Sequence[Database],
    to: int | None,
) -> tuple[Work, ...]:
    """What `up` runs, in order; versions beyond `to` are left for another time.

    Raises:
        HistoryRefused: A file was changed, is missing, or comes too late; or a `down` is half done.
    """
    _refuse(_history(migrations, ledgers), _order(migrations, ledgers), _half_undone(ledgers))
    works: list[Work] = []
    for migration in migrations:
        if to is not None and migration.version > to:
            break
        script = migration.up
        for database in databases:
            entry = ledgers[database.name].get(migration.version)
            if entry is not None and entry.state is State.APPLIED:
                continue
            statements = routed[migration.version].statements
            steps = steps_of(statements, script.directives, database)
            work = Work(migration, Direction.UP, script, database, steps, entry)
            _refuse(_unlike(work))
            works.append(work)
    return tuple(works)


def plan_down(
    migrations: Sequence[Migration],
    routed: Mapping[int, RoutedScript],
    ledgers: Ledgers,
    databases: Sequence[Database],
    count: int,
) -> tuple[Work, ...]:
    """What undoes the newest `count` versions, in order: the databases in reverse.

    Raises:
        HistoryRefused: A file was changed or is missing.
        NoWayDown: A version has no down file.
    """
    _refuse(_history(migrations, ledgers))
    known = {migration.version: migration for migration in migrations}
    versions = sorted({version for ledger in ledgers.values() for version in ledger}, reverse=True)
    works: list[Work] = []
    for version in versions[:count]:
        migration = known[version]
        if migration.down is None:
            raise NoWayDown(f"{migration} has no down file ({migration}.down.sql)")
        for database in reversed(databases):
            entry = ledgers[database.name].get(version)
            if entry is None:
                continue
            statements = routed[version].statements
            steps = steps_of(statements, migration.down.directives, database)
            work = Work(migration, Direction.DOWN, migration.down, database, steps, entry)
            _refuse(_unlike(work))
            works.append(work)
    return tuple(works)


def pending_versions(
    migrations: Sequence[Migration], ledgers: Ledgers, to: int | None = None
) -> tuple[int, ...]:
    """The versions that some database lacks, wholly or in part."""
    return tuple(
        migration.version
        for migration in migrations
        if (to is None or migration.version <= to)
        and any(
            migration.version not in ledger or ledger[migration.version].state is not State.APPLIED
            for ledger in ledgers.values()
        )
    )


def history_problems(migrations: Sequence[Migration], ledgers: Ledgers) -> tuple[str, ...]:
    """Everything in which files and ledgers contradict each other."""
    return (*_history(migrations, ledgers), *_order(migrations, ledgers), *_half_undone(ledgers))


def _history(migrations: Sequence[Migration], ledgers: Ledgers) -> Iterator[str]:
    known = {migration.version: migration for migration in migrations}
    for version in sorted({version for ledger in ledgers.values() for version in ledger}):
        entries = {name: ledger[version] for name, ledger in ledgers.items() if version in ledger}
        migration = known.get(version)
        if migration is None:
            name = next(iter(entries.values())).name
            yield f"{version} ({name}) was applied on {_names(entries)}, and its file is missing"
            continue
        changed = [
            name
            for name, entry in entries.items()
            if entry.state is State.APPLIED and entry.checksum != migration.up.checksum
        ]
        if changed:
            yield f"{migration.up.file} was changed after it was applied on {_names(changed)}"
        renamed = {entry.name for entry in entries.values()} - {migration.name}
        if renamed and not changed:
            yield (
                f"{migration.up.file} was applied as {', '.join(sorted(renamed))}: "
                f"version {version} has another name now"
            )


def _order(migrations: Sequence[Migration], ledgers: Ledgers) -> Iterator[str]:
    for migration in migrations:
        ahead = [
            name
            for name, ledger in ledgers.items()
            if migration.version not in ledger and any(v > migration.version for v in ledger)
        ]
        if ahead:
            newest = max(max(ledgers[name]) for name in ahead)
            yield (
                f"{migration.up.file} comes too late: {_names(ahead)} "
                f"{'has' if len(ahead) == 1 else 'have'} version {newest} already; "
                "give it a higher number"
            )


def _half_undone(ledgers: Ledgers) -> Iterator[str]:
    for name, ledger in ledgers.items():
        for entry in ledger.values():
            if entry.state is State.REVERTING:
                yield (
                    f"{entry.version} ({entry.name}) is half undone on {name}: "
                    "fluxshard migrate down goes on with it"
                )


def _unlike(work: Work) -> Iterator[str]:
    """Whether what was done of a file is not the beginning of what it is now."""
    entry = work.entry
    if entry is None or not work.done:
        return
    if entry.done != tuple(step.checksum for step in work.steps[: work.done]):
        yield (
            f"{work.script.file} was changed where it is half done on {work.database.name}: "
            f"its first {work.done} of {entry.steps} steps are committed there"
        )


def _refuse(*problems: Iterable[str]) -> None:
    found = [problem for some in problems for problem in some]
    if found:
        raise HistoryRefused(*found)


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)
