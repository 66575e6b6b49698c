"""`fluxshard migrate`: the schema of every database of a cluster, from one directory of files.

Ends with 0 if all is well, 1 with a refusal, a failure or drift, 2 for wrong usage, 3 when a
database cannot be reached.
"""

import asyncio
import getpass
import json
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import click

from router import RouterError
from server.cli.map import Catalog, catalog_options, json_option
from server.cli.migratetext import (
    checked_document,
    findings_text,
    plan_document,
    plan_text,
    progress_text,
    status_document,
    status_text,
)
from server.configuration.forms import DURATION
from server.configuration.reading import load_cluster_settings
from server.errors import SettingsInvalid
from server.mapstart import given_cluster, starting_map
from server.migrate.apply import Patience, Progress, Unknown
from server.migrate.directory import read_directory
from server.migrate.errors import DatabaseAway, MigrateError
from server.migrate.findings import Finding
from server.migrate.operations import (
    Options,
    Planned,
    Site,
    migrate,
    offline_findings,
    pending_findings,
    planned,
    survey,
)
from server.migrate.operations import (
    check as check_drift,
)
from server.settings import Settings
from shardmap import (
    CredentialsUnavailable,
    Endpoint,
    InvalidUrl,
    Login,
    MapUnavailable,
    ShardMap,
    ShardMapError,
    first_from,
    read_map,
    resolve,
)

T = TypeVar("T")

REFUSED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3


class _Ended(click.ClickException):
    """What ends a command: lines for people, and an exit code for scripts."""

    def __init__(self, lines: list[str], exit_code: int) -> None:
        super().__init__("\n".join(lines))
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the lines as they are."""
        click.echo(self.message, err=True, file=file)


class _Duration(click.ParamType[float]):
    """`500ms`, `2s`, `10m`, as settings have it."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds."""
        try:
            return DURATION.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def run(work: Coroutine[object, object, T]) -> T:
    """The result; an error ends the command with its code, its lines and an exit code."""
    try:
        return asyncio.run(work)
    except SettingsInvalid as error:
        raise _Ended([str(problem) for problem in error.problems], USAGE) from error
    except InvalidUrl as error:
        raise _Ended([f"--catalog: {error}"], USAGE) from error
    except MigrateError as error:
        exit_code = UNREACHABLE if isinstance(error, DatabaseAway) else REFUSED
        raise _Ended([f"{error.code} {line}" for line in error.lines], exit_code) from error
    except RouterError as error:
        lines = [f"{error.code} {error.message}", *([error.hint] if error.hint else [])]
        raise _Ended(lines, REFUSED) from error
    except (MapUnavailable, CredentialsUnavailable) as error:
        raise _Ended([f"{error.code} {error}"], UNREACHABLE) from error
    except ShardMapError as error:
        raise _Ended([f"{error.code} {error}"], REFUSED) from error


@dataclass(frozen=True, slots=True)
class Source:
    """Where cluster and files are, as options and environment say."""

    catalog: Catalog
    directory: Path | None

    @property
    def settings(self) -> Settings:
        """What the environment says; `--catalog` takes the place of its DATABASE_URL."""
        url = self.catalog.url
        environ = os.environ if url is None else {**os.environ, "DATABASE_URL": url}
        return load_cluster_settings(environ, self.catalog.file)

    async def site(self, *, change: bool) -> Site:
        """The cluster and its migrations. `change`: a first map is made where there is none."""
        settings = self.settings
        environ = {**settings.environ, **self.catalog.environ}
        migrations = read_directory(self._directory(settings))
        given = given_cluster(settings)
        shard_map = await self.catalog.stored()
        if shard_map is None and change:
            starting = await starting_map(given, None, settings.environ, author=author())
            shard_map = starting.shard_map
        elif shard_map is None:
            shard_map = first_from(given, "undecided")
        database = settings.database

        def login(endpoint: Endpoint) -> Login:
            return resolve(endpoint, environ)

        def admin(endpoint: Endpoint) -> Login:
            if not database.admin_user:
                return login(endpoint)
            return Login(database.admin_user, database.admin_password or None)

        return Site(
            shard_map=shard_map,
            migrations=migrations,
            login=login,
            admin=admin,
            exposed=settings.api.exposed_schemas,
            by=author(),
        )

    def _directory(self, settings: Settings) -> Path:
        return self.directory or Path(settings.database.migrations_path)


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--dir`, `--catalog` and `--config`, given to the command as one `source`."""

    @wraps(command)
    def with_source(*, catalog: Catalog, directory: Path | None, **others: Any) -> None:
        command(source=Source(catalog, directory), **others)

    return click.option(
        "--dir",
        "directory",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="The directory of migrations.  [default: $FLUXBASE_DATABASE_USER_MIGRATIONS_PATH]",
    )(catalog_options(with_source))


def changing_options(command: Callable[..., None]) -> Callable[..., None]:
    """How to migrate, given to the command as `options`."""

    @wraps(command)  # which hands the options on that it has already
    def with_options(  # noqa: PLR0913 - one parameter per option
        *,
        allow: tuple[str, ...],
        lock_timeout: float,
        lock_patience: float,
        statement_timeout: float,
        wait: float,
        redo: bool,
        skip: bool,
        to: int | None = None,
        **others: Any,
    ) -> None:
        if redo and skip:
            raise click.UsageError("--redo and --skip exclude each other")
        unknown = Unknown.REDO if redo else Unknown.SKIP if skip else Unknown.REFUSE
        patience = Patience(lock_timeout, lock_patience, statement_timeout)
        options = Options(to, frozenset(allow), patience, wait, unknown)
        command(options=options, **others)

    for option in reversed(
        (
            click.option("--dry-run", is_flag=True, help="Only show what would be run where."),
            click.option("--allow", multiple=True, metavar="CODE", help="Accept this finding."),
            click.option(
                "--lock-timeout", type=_Duration(), default="1s", show_default=True,
                help="Longest wait of a statement for a lock, with others queueing behind it.",
            ),
            click.option(
                "--lock-patience", type=_Duration(), default="5m", show_default=True,
                help="For how long to try again.",
            ),
            click.option(
                "--statement-timeout", type=_Duration(), default="0", show_default=True,
                help="Longest time of a statement; 0: none.",
            ),
            click.option(
                "--wait", type=_Duration(), default="0", show_default=True,
                help="How long to wait for somebody else who is migrating.",
            ),
            click.option("--redo", is_flag=True, help="Run again what was begun and whose end nobody saw."),
            click.option("--skip", is_flag=True, help="Take it for done."),
        )
    ):  # fmt: skip
        with_options = option(with_options)
    return with_options


@click.group("migrate")
def command() -> None:
    """Apply SQL migrations to the catalog and every shard.

    Each statement runs where the shard map places its tables; each database keeps a ledger. Ends
    with 0 if all is well, 1 with a refusal, a failure or drift, 2 for wrong usage, 3 when a
    database cannot be reached. The files are described in docs/migrations.md.
    """


@command.command()
@json_option
@source_options
def status(*, source: Source, as_json: bool) -> None:
    """Show which database has which version."""

    async def work() -> tuple[dict[str, Any], str, tuple[str, ...]]:
        site = await source.site(change=False)
        found = await survey(site)
        document = status_document(site.migrations, found)
        return document, status_text(site.migrations, found), found.problems

    document, text, problems = run(work())
    click.echo(json.dumps(document, indent=2) if as_json else text, nl=as_json)
    _end_with(() if as_json else problems, failed=bool(problems))


@command.command()
@click.option("--to", type=click.IntRange(min=0), metavar="VERSION", help="The last version.")
@changing_options
@json_option
@source_options
def up(*, source: Source, options: Options, dry_run: bool, as_json: bool) -> None:
    """Apply what is pending, version by version, in the catalog and on every shard."""
    _migrate(source, options, None, dry_run=dry_run, as_json=as_json)


@command.command()
@click.argument("count", metavar="[N]", type=click.IntRange(min=1), default=1)
@click.option("--yes", is_flag=True, help="Do not ask.")
@changing_options
@json_option
@source_options
def down(  # noqa: PLR0913 - one parameter per option
    *, source: Source, options: Options, count: int, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Undo the newest N versions, one if N is left out, with their down files."""
    if not dry_run and not yes:
        plan = run(_planned(source, options, count))
        click.echo(plan_text(plan), nl=False, err=as_json)
        if not plan.works:
            return
        click.confirm("Run this?", abort=True, err=as_json)
    _migrate(source, options, count, dry_run=dry_run, as_json=as_json)


@command.command()
@click.option("--to", type=click.IntRange(min=0), metavar="VERSION", help="The last version.")
@json_option
@source_options
def plan(*, source: Source, to: int | None, as_json: bool) -> None:
    """Show what `up` would run where."""
    _migrate(source, Options(to), None, dry_run=True, as_json=as_json)


@command.command()
@click.option("--map", "file", type=click.File(encoding="utf-8"), help="Ask this map, no database.")
@click.option("--after", type=click.IntRange(min=0), metavar="VERSION",
              help="With --map: only later files, which are applied together.")  # fmt: skip
@click.option("--allow", multiple=True, metavar="CODE", help="Accept this finding.")
@json_option
@source_options
def lint(
    *,
    source: Source,
    file: IO[str] | None,
    after: int | None,
    allow: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell what of the pending files breaks running code, stops traffic or mixes tenants."""
    if after is not None and file is None:
        raise click.UsageError(
            "--after goes with --map: without it, the ledgers say what is pending"
        )

    async def work() -> tuple[Finding, ...]:
        if file is None:
            options = Options(allow=frozenset(allow))
            return await pending_findings(await source.site(change=False), options)
        shard_map: ShardMap = read_map(file.read(), None)
        directory = source.directory or Path(source.settings.database.migrations_path)
        migrations = read_directory(directory)
        return offline_findings(shard_map, migrations, after=after, allow=allow)

    found = run(work())
    if as_json:
        click.echo(json.dumps([finding.document() for finding in found], indent=2))
    else:
        for line in findings_text(found) or ["nothing found"]:
            click.echo(line)
    _end_with((), failed=any(finding.blocks for finding in found))


@command.command()
@json_option
@source_options
def check(*, source: Source, as_json: bool) -> None:
    """Compare the schemas of all shards, thing by thing. Ends with 1 when they differ."""

    async def work() -> Any:
        return await check_drift(await source.site(change=False))

    found = run(work())
    if as_json:
        click.echo(json.dumps(checked_document(found), indent=2))
    elif not found.drifted:
        click.echo("all shards have the same schema")
    lines = [*map(str, found.differences), *found.problems]
    _end_with(() if as_json else lines, failed=found.drifted)


async def _planned(source: Source, options: Options, down: int | None) -> Planned:
    return await planned(await source.site(change=False), options, down)


def _migrate(
    source: Source, options: Options, down: int | None, *, dry_run: bool, as_json: bool
) -> None:
    def report(progress: Progress) -> None:
        line = progress_text(progress)
        if line is not None:
            click.echo(line, err=as_json)

    async def work() -> Planned:
        return await migrate(await source.site(change=True), options, report, down)

    done = run(_planned(source, options, down)) if dry_run else run(work())
    for line in findings_text(done.findings):
        click.echo(line, err=True)
    if as_json:
        click.echo(json.dumps(plan_document(done), indent=2))
    elif dry_run or not done.works:
        click.echo(plan_text(done), nl=False)
    _end_with((), failed=any(finding.blocks for finding in done.findings))


def _end_with(lines: tuple[str, ...] | list[str], *, failed: bool) -> None:
    for line in lines:
        click.echo(line, err=True)
    if failed:
        sys.exit(REFUSED)


def author() -> str:
    """Who runs the command."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
